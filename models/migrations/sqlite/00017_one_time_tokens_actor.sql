-- +goose Up
ALTER TABLE one_time_tokens ADD COLUMN actor_id INTEGER NULL;
CREATE INDEX one_time_tokens_actor ON one_time_tokens (actor_id);
