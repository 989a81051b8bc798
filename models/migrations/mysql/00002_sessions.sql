-- +goose Up
CREATE TABLE sessions (
  id               BINARY(16)   NOT NULL,
  user_id          BIGINT       NOT NULL,
  epoch            BIGINT       NOT NULL,
  generation       BIGINT       NOT NULL,
  rotated_at       DATETIME(6)  NOT NULL,
  created_at       DATETIME(6)  NOT NULL,
  idle_expires_at  DATETIME(6)  NOT NULL,
  expires_at       DATETIME(6)  NOT NULL,
  attempt          BINARY(16)   NULL,
  revoked_at       DATETIME(6)  NULL,
  revoke_reason    VARCHAR(32)  NOT NULL,
  transport        VARCHAR(16)  NOT NULL,
  user_agent       VARCHAR(256) NOT NULL,
  ip               VARCHAR(45)  NOT NULL,
  last_used_at     DATETIME(6)  NOT NULL,
  authenticated_at DATETIME(6)  NULL,
  version          BIGINT       NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  KEY sessions_user (user_id, created_at),
  KEY sessions_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
