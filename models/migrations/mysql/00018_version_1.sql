-- +goose Up
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN changes TEXT NULL;
UPDATE events SET kind = 'session_revoked' WHERE kind = 'session_ended';
UPDATE events SET kind = 'sessions_revoked' WHERE kind = 'sessions_ended';
UPDATE events SET kind = 'profile_changed' WHERE kind = 'names_changed';
UPDATE events SET kind = 'login_limit_reset' WHERE kind = 'unthrottled';
