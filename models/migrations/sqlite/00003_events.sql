-- +goose Up
CREATE TABLE events (
  id         BLOB     NOT NULL PRIMARY KEY,
  user_id    INTEGER  NOT NULL,
  actor_id   INTEGER  NULL,
  session_id BLOB     NULL,
  request_id BLOB     NULL,
  kind       TEXT     NOT NULL,
  changes    TEXT     NULL,
  detail     TEXT     NOT NULL,
  ip         TEXT     NOT NULL,
  user_agent TEXT     NOT NULL,
  created_at DATETIME NOT NULL
);

CREATE INDEX events_user ON events (user_id, id);
CREATE INDEX events_actor ON events (actor_id, id);
CREATE INDEX events_kind ON events (kind, id);
CREATE INDEX events_created ON events (created_at);
