// Package models stores users, sessions, security events and related rows in SQLite, MySQL or
// MariaDB. It is the only package that uses GORM, SQL and the database drivers. It must not depend
// on HTTP, tokens or rules: the packages above decide which changes are allowed.
//
// # Store and Tx
//
// A [Store] is an open database. Its methods are queries, and single statements that need no
// transaction, such as [Store.Rotate]. All other writes are methods of a [Tx], which [Store.Tx]
// opens: the caller combines small verbs, each about one table, into one unit of work. The
// transaction is repeated as a whole after a conflict, and has one instant, [Tx.Now].
//
// # Guards and versions
//
// Every change of state is guarded in its WHERE clause. The number of rows that matched decides
// whether it succeeded, never an earlier read. [ErrNotFound] means that the guard did not match.
//
//   - users.version: incremented by every change of a user's names, credentials, roles or state.
//     A change that was decided on a user as read requires the version that was read. A change that
//     does not depend on all of them reads the user with [Tx.ReadUserForUpdate] first.
//   - users.session_epoch: incremented to revoke every session of the user. A session is live only
//     in the epoch of its user.
//   - users.lock_count and sessions.version: incremented to lock a row whose data stays the same,
//     because a Galera cluster certifies only changed rows.
//   - [Actor]: a transaction of [Store.As] requires that the session that authorizes it is still
//     live, and that its user still has the roles.
//   - The clock: writes that compare ages fail if the database's clock differs too much.
//
// Errors are the sentinels of errors.go. The driver's error is available for the log through
// [Cause], but is not part of any message.
//
// # Tables
//
//	users            User
//	sessions         Session: also the family of refresh tokens and the record of the revocation
//	events           Event: the security log
//	one_time_tokens  OneTimeToken: links in mails, used tokens of Django, ids of deleted imports
//	outbox           Mail
//	rate_limits      RateLimit: counts, and the known networks of names
//
// The files in migrations create them, one for each table and dialect. Two more tables belong to
// the migration itself: schema_versions, which goose creates, and migration_lease, which must exist
// before the first migration.
//
// # SQL
//
// Ordinary statements use GORM, with SQL text where its builder has no form for them. The hot
// statements (the read of a session, its rotation and the profile) are prepared; see hot.go. SQL
// text is constant and every value is a parameter, which a test checks. The connections of both
// drivers store a uuid.UUID as 16 bytes; see driver.go.
package models
