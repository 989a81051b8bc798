-- +goose Up
CREATE TABLE outbox (
  id         BINARY(16)   NOT NULL,
  kind       VARCHAR(32)  NOT NULL,
  priority   INTEGER      NOT NULL,
  user_id    BIGINT       NOT NULL,
  email      VARCHAR(254) NOT NULL,
  email_norm VARCHAR(254) NOT NULL,
  locale     VARCHAR(35)  NOT NULL,
  name       VARCHAR(150) NOT NULL,
  new_email  VARCHAR(254) NOT NULL,
  token_id   BINARY(16)   NULL,
  created_at DATETIME(6)  NOT NULL,
  expires_at DATETIME(6)  NOT NULL,
  attempts   INTEGER      NOT NULL,
  next_at    DATETIME(6)  NOT NULL,
  lease      BINARY(16)   NULL,
  done_at    DATETIME(6)  NULL,
  outcome    VARCHAR(16)  NOT NULL,
  PRIMARY KEY (id),
  KEY outbox_due (done_at, priority, next_at),
  KEY outbox_email (email_norm, created_at),
  KEY outbox_user (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
