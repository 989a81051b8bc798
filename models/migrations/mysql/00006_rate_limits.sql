-- +goose Up
CREATE TABLE rate_limits (
  id      BINARY(16)  NOT NULL,
  kind    VARCHAR(32) NOT NULL,
  hits    INTEGER     NOT NULL,
  last_at DATETIME(6) NOT NULL,
  ends_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  KEY rate_limits_ends (ends_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
