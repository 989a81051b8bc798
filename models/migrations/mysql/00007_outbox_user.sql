-- +goose Up
CREATE INDEX outbox_user ON outbox (user_id);
