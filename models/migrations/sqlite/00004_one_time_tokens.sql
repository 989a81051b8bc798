-- +goose Up
CREATE TABLE one_time_tokens (
  id         BLOB     NOT NULL PRIMARY KEY,
  purpose    TEXT     NOT NULL,
  hash       BLOB     NOT NULL UNIQUE,
  user_id    INTEGER  NOT NULL,
  actor_id   INTEGER  NULL,
  email      TEXT     NOT NULL,
  email_norm TEXT     NOT NULL,
  username   TEXT     NOT NULL,
  first_name TEXT     NOT NULL,
  last_name  TEXT     NOT NULL,
  locale     TEXT     NOT NULL,
  password   TEXT     NOT NULL,
  created_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  used_at    DATETIME NULL
);

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_actor ON one_time_tokens (actor_id);
CREATE INDEX one_time_tokens_email ON one_time_tokens (email_norm, purpose);
CREATE INDEX one_time_tokens_expires ON one_time_tokens (expires_at);
