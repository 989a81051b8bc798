-- +goose Up
UPDATE events SET kind = CASE kind
    WHEN 'session_ended' THEN 'session_revoked'
    WHEN 'sessions_ended' THEN 'sessions_revoked'
    WHEN 'names_changed' THEN 'profile_changed'
    ELSE 'login_limit_reset'
  END
  WHERE kind IN ('session_ended', 'sessions_ended', 'names_changed', 'unthrottled');
