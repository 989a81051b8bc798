// Package models keeps the rows: users, sessions and security events, in SQLite, MySQL or MariaDB. It is the only
// place that knows GORM, SQL and the drivers.
//
// A public method is one statement or one whole transaction; nobody outside opens one. Every change of state is
// guarded in its WHERE clause and judged by the number of rows it matched, never by an earlier read. Errors are the
// sentinels of errors.go; what the driver said stays reachable for the log and is in no message.
//
// It must not know HTTP, tokens or rules: which change is right is decided in package accounts.
package models
