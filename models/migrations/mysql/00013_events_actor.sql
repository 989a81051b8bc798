-- +goose Up
ALTER TABLE events
  ADD COLUMN actor_id BIGINT NULL,
  ADD KEY events_actor (actor_id, id),
  ADD KEY events_kind (kind, id);
