-- +goose Up
-- Mails queued before count as requests for an address alone.
ALTER TABLE outbox ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (done_at, priority, next_at);
