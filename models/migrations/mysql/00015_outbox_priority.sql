-- +goose Up
-- Mails that are queued already get the priority of requests for an address.
ALTER TABLE outbox
  ADD COLUMN priority INTEGER NOT NULL DEFAULT 2,
  DROP KEY outbox_due,
  ADD KEY outbox_due (done_at, priority, next_at);
