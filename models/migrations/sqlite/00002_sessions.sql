-- +goose Up
CREATE TABLE sessions (
  id               BLOB     NOT NULL PRIMARY KEY,
  user_id          INTEGER  NOT NULL,
  epoch            INTEGER  NOT NULL,
  generation       INTEGER  NOT NULL,
  rotated_at       DATETIME NOT NULL,
  created_at       DATETIME NOT NULL,
  idle_expires_at  DATETIME NOT NULL,
  expires_at       DATETIME NOT NULL,
  attempt          BLOB     NULL,
  revoked_at       DATETIME NULL,
  revoke_reason    TEXT     NOT NULL,
  transport        TEXT     NOT NULL,
  user_agent       TEXT     NOT NULL,
  ip               TEXT     NOT NULL,
  last_used_at     DATETIME NOT NULL,
  authenticated_at DATETIME NULL,
  version          INTEGER  NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_expires ON sessions (expires_at);
