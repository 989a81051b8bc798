-- +goose Up
CREATE TABLE throttles (
  id      BLOB     NOT NULL PRIMARY KEY,
  kind    TEXT     NOT NULL,
  hits    INTEGER  NOT NULL,
  last_at DATETIME NOT NULL,
  ends_at DATETIME NOT NULL
);
CREATE INDEX throttles_ends ON throttles (ends_at);
