-- +goose Up
CREATE TABLE rate_limits (
  id      BLOB     NOT NULL PRIMARY KEY,
  kind    TEXT     NOT NULL,
  hits    INTEGER  NOT NULL,
  last_at DATETIME NOT NULL,
  ends_at DATETIME NOT NULL
);

CREATE INDEX rate_limits_ends ON rate_limits (ends_at);
