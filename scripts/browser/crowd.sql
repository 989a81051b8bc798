-- Creates 100,000 users of all kinds, without sessions and events, to test lists of users.
PRAGMA synchronous = OFF;
PRAGMA cache_size = -100000; -- kilobytes
BEGIN;
CREATE TEMP TABLE kinds AS -- 143 names, computed once because many users share them
WITH RECURSIVE
  firsts(k, name) AS (VALUES (0, 'Ada'), (1, 'Grace'), (2, 'Alan'), (3, 'Barbara'), (4, 'Edsger'), (5, 'Frances'), (6, 'Niklaus'), (7, 'Radia'), (8, 'Dennis'), (9, 'Hedy'), (10, 'Jiwoo')),
  lasts(k, name) AS (VALUES (0, 'Lovelace'), (1, 'Hopper'), (2, 'Turing'), (3, 'Liskov'), (4, 'Dijkstra'), (5, 'Allen'), (6, 'Wirth'), (7, 'Perlman'), (8, 'Ritchie'), (9, 'Lamarr'), (10, 'Park'), (11, 'Hamilton'), (12, 'Kernighan')),
  numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 142)
SELECT n, f.name AS first, l.name AS last, lower(f.name || '.' || l.name) || '.' AS name,
  CASE n % 3 WHEN 0 THEN '@example.com' WHEN 1 THEN '@mail.example.org' ELSE '@university.example' END AS host,
  strftime('%Y-%m-%d %H:%M:%S', 'now', '-' || (n * 13 % 1500 + 30) || ' days') || '.0+00:00' AS joined,
  strftime('%Y-%m-%d %H:%M:%S', 'now', '-' || (n * 37 % 700) || ' hours') || '.0+00:00' AS seen
FROM numbers JOIN firsts f ON f.k = n % 11 JOIN lasts l ON l.k = n % 13;
INSERT INTO users (id, username, username_norm, email, email_norm, first_name, last_name, locale, password, is_active, is_staff, is_superuser,
  email_verified_at, session_epoch, version, lock_count, last_login, date_joined, search)
WITH RECURSIVE hundreds(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hundreds WHERE n < 699)
SELECT id, username, username, email, email, first, last, '', '!', id % 23 <> 5, id % 9973 = 0, 0, iif(id % 11 = 3, NULL, joined), 1, 1, 0, iif(id % 5 = 1, NULL, seen), joined,
  lower(username || char(10) || email || char(10) || first || char(10) || last)
FROM (
  SELECT 1000 + h.n * 143 + k.n AS id, name || h.n AS username, name || h.n || host AS email, first, last, joined, seen
  FROM kinds k CROSS JOIN hundreds h
);
COMMIT;
