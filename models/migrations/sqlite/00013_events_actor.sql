-- +goose Up
ALTER TABLE events ADD COLUMN actor_id INTEGER NULL;
CREATE INDEX events_actor ON events (actor_id, id);
CREATE INDEX events_kind ON events (kind, id);
