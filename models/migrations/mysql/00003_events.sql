-- +goose Up
CREATE TABLE events (
  id         BINARY(16)   NOT NULL,
  user_id    BIGINT       NOT NULL,
  session_id BINARY(16)   NULL,
  kind       VARCHAR(32)  NOT NULL,
  detail     VARCHAR(255) NOT NULL,
  ip         VARCHAR(45)  NOT NULL,
  user_agent VARCHAR(256) NOT NULL,
  created_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY events_user (user_id, created_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
