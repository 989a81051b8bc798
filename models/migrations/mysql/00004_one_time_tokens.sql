-- +goose Up
CREATE TABLE one_time_tokens (
  id         BINARY(16)   NOT NULL,
  purpose    VARCHAR(16)  NOT NULL,
  hash       BINARY(32)   NOT NULL,
  user_id    BIGINT       NOT NULL,
  actor_id   BIGINT       NULL,
  email      VARCHAR(254) NOT NULL,
  email_norm VARCHAR(254) NOT NULL,
  username   VARCHAR(150) NOT NULL,
  first_name VARCHAR(150) NOT NULL,
  last_name  VARCHAR(150) NOT NULL,
  locale     VARCHAR(35)  NOT NULL,
  password   VARCHAR(255) NOT NULL,
  created_at DATETIME(6)  NOT NULL,
  expires_at DATETIME(6)  NOT NULL,
  used_at    DATETIME(6)  NULL,
  PRIMARY KEY (id),
  UNIQUE KEY one_time_tokens_hash (hash),
  KEY one_time_tokens_user (user_id, purpose),
  KEY one_time_tokens_actor (actor_id),
  KEY one_time_tokens_email (email_norm, purpose),
  KEY one_time_tokens_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
