-- +goose Up
CREATE TABLE events (
  id         BINARY(16)   NOT NULL,
  user_id    BIGINT       NOT NULL,
  actor_id   BIGINT       NULL,
  session_id BINARY(16)   NULL,
  request_id BINARY(16)   NULL,
  kind       VARCHAR(32)  NOT NULL,
  changes    TEXT         NULL,
  detail     VARCHAR(255) NOT NULL,
  ip         VARCHAR(45)  NOT NULL,
  user_agent VARCHAR(256) NOT NULL,
  created_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY events_user (user_id, id),
  KEY events_actor (actor_id, id),
  KEY events_kind (kind, id),
  KEY events_created (created_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
