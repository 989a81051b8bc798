-- +goose Up
ALTER TABLE sessions ADD COLUMN authenticated_at DATETIME(6) NULL;
