// Package models stores users, sessions, security events and related rows in SQLite, MySQL or
// MariaDB. It is the only package that uses GORM, SQL and the database drivers.
//
// A method of [Store] is one statement, or a short transaction of its own. Callers compose the
// methods of [Tx], which are statements, inside [Store.Tx]. Every change of state is guarded in its
// WHERE clause. The number of rows that matched decides whether it succeeded, never an earlier
// read. Errors are the sentinels of errors.go. The driver's error is available for the log through
// [Cause], but is not part of any message.
//
// The package must not depend on HTTP, tokens or rules. Package accounts decides which changes are
// allowed.
package models
