-- +goose Up
CREATE TABLE events (
  id         BLOB     NOT NULL PRIMARY KEY,
  user_id    INTEGER  NOT NULL,
  session_id BLOB     NULL,
  kind       TEXT     NOT NULL,
  detail     TEXT     NOT NULL,
  ip         TEXT     NOT NULL,
  user_agent TEXT     NOT NULL,
  created_at DATETIME NOT NULL
);
CREATE INDEX events_user ON events (user_id, created_at);
