-- +goose Up
ALTER TABLE one_time_tokens ADD COLUMN actor_id BIGINT NULL, ADD KEY one_time_tokens_actor (actor_id);
