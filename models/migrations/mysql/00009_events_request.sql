-- +goose Up
ALTER TABLE events
  ADD COLUMN request_id BINARY(16) NULL,
  DROP KEY events_user,
  ADD KEY events_user (user_id, id),
  ADD KEY events_created (created_at);
