-- +goose Up
CREATE TABLE outbox (
  id         BLOB     NOT NULL PRIMARY KEY,
  kind       TEXT     NOT NULL,
  priority   INTEGER  NOT NULL,
  user_id    INTEGER  NOT NULL,
  email      TEXT     NOT NULL,
  email_norm TEXT     NOT NULL,
  locale     TEXT     NOT NULL,
  name       TEXT     NOT NULL,
  new_email  TEXT     NOT NULL,
  token_id   BLOB     NULL,
  created_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  attempts   INTEGER  NOT NULL,
  next_at    DATETIME NOT NULL,
  lease      BLOB     NULL,
  done_at    DATETIME NULL,
  outcome    TEXT     NOT NULL
);

CREATE INDEX outbox_due ON outbox (done_at, priority, next_at);
CREATE INDEX outbox_email ON outbox (email_norm, created_at);
CREATE INDEX outbox_user ON outbox (user_id);
