-- +goose Up
-- Mails that are queued already get the priority of requests for an address.
ALTER TABLE outbox ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (done_at, priority, next_at);
