-- +goose Up
ALTER TABLE users ADD COLUMN search TEXT NULL;
