-- +goose Up
CREATE TABLE users (
  id                BIGINT       NOT NULL AUTO_INCREMENT,
  username          VARCHAR(150) NOT NULL,
  username_norm     VARCHAR(150) NOT NULL,
  email             VARCHAR(254) NOT NULL,
  email_norm        VARCHAR(254) NOT NULL,
  first_name        VARCHAR(150) NOT NULL,
  last_name         VARCHAR(150) NOT NULL,
  password          VARCHAR(255) NOT NULL,
  is_active         BOOLEAN      NOT NULL,
  is_staff          BOOLEAN      NOT NULL,
  is_superuser      BOOLEAN      NOT NULL,
  email_verified_at DATETIME(6)  NULL,
  session_epoch     BIGINT       NOT NULL,
  last_login        DATETIME(6)  NULL,
  date_joined       DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY users_username_norm (username_norm),
  UNIQUE KEY users_email_norm (email_norm)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
