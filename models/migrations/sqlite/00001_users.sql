-- +goose Up
-- Times are text in UTC with one offset, so that comparing the texts compares the times.
CREATE TABLE users (
  id                 INTEGER  NOT NULL PRIMARY KEY AUTOINCREMENT,
  username           TEXT     NOT NULL,
  username_norm      TEXT     NOT NULL UNIQUE,
  email              TEXT     NOT NULL,
  email_norm         TEXT     NOT NULL UNIQUE,
  first_name         TEXT     NOT NULL,
  last_name          TEXT     NOT NULL,
  locale             TEXT     NOT NULL,
  password           TEXT     NOT NULL,
  is_active          BOOLEAN  NOT NULL,
  is_staff           BOOLEAN  NOT NULL,
  is_superuser       BOOLEAN  NOT NULL,
  email_verified_at  DATETIME NULL,
  session_epoch      INTEGER  NOT NULL,
  version            INTEGER  NOT NULL,
  lock_count         INTEGER  NOT NULL,
  imported_epoch     INTEGER  NULL,
  last_login         DATETIME NULL,
  email_change_until DATETIME NULL,
  date_joined        DATETIME NOT NULL,
  search             TEXT     NOT NULL
);
