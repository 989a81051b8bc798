-- +goose Up
ALTER TABLE users ADD COLUMN imported_epoch BIGINT NULL;
