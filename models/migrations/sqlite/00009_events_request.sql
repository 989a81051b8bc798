-- +goose Up
ALTER TABLE events ADD COLUMN request_id BLOB NULL;
DROP INDEX events_user;
CREATE INDEX events_user ON events (user_id, id);
CREATE INDEX events_created ON events (created_at);
