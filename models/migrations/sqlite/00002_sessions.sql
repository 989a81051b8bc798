-- +goose Up
-- Times are text in UTC with one offset, so that comparing the texts compares the times.
-- +goose StatementBegin
CREATE TABLE sessions (
  id              BLOB     NOT NULL PRIMARY KEY,
  user_id         INTEGER  NOT NULL,
  epoch           INTEGER  NOT NULL,
  generation      INTEGER  NOT NULL,
  rotated_at      DATETIME NOT NULL,
  created_at      DATETIME NOT NULL,
  idle_expires_at DATETIME NOT NULL,
  expires_at      DATETIME NOT NULL,
  attempt         BLOB     NULL,
  revoked_at      DATETIME NULL,
  revoke_reason   TEXT     NOT NULL,
  transport       TEXT     NOT NULL,
  user_agent      TEXT     NOT NULL,
  ip              TEXT     NOT NULL,
  last_used_at    DATETIME NOT NULL
) WITHOUT ROWID;
-- +goose StatementEnd
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_expires ON sessions (expires_at);
