-- +goose Up
-- Mails queued before count as requests for an address alone.
ALTER TABLE outbox
  ADD COLUMN priority INTEGER NOT NULL DEFAULT 2,
  DROP KEY outbox_due,
  ADD KEY outbox_due (done_at, priority, next_at);
