-- +goose Up
ALTER TABLE events ADD COLUMN changes TEXT NULL;
