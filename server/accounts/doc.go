// Package accounts holds the rules: who may sign in, how a session begins, is refreshed and ends, and who a request
// comes from. It is plain Go over models, credentials and token.
//
// A public method is one operation of the contract or one command, and the place where its transaction opens and
// closes. Errors are *Error with a code of the contract. Files bear the names of the contract's tags.
//
// It must not know HTTP, cookies, the wire types or SQL.
//
// # The decision table
//
// A session is one row. Its tokens are a pure function of the row and the signing key, so whoever asks gets the same
// ones, though nothing was stored. A generation is W+M old when it rotates; its predecessor is honoured for W after
// that. W is the rotation interval and M the margin for clocks (Policy), "age" the time since the current generation
// was born, "gen" the generation that the presented credential names, "attempt" the client's X-Refresh-Attempt.
// Refresh walks this table in order; (Policy).decide is the same in Go.
//
//	row  presented                                                  answer                    change
//	0    not authentic                                              refresh_invalid           none; the database is not asked
//	0b   by another way than the session's transport has            refresh_invalid           none
//	1    past its exp, or the session past its idle or absolute end session_expired           none
//	2    no row, revoked, stale epoch, user inactive                session_revoked           none; asked before any grace
//	3    gen = current, age ≥ W+M                                   the next generation       one guarded UPDATE
//	4    gen = current, age < W+M                                   the same tokens           last use; no cookie is set
//	5    gen = current-1 and -M ≤ age ≤ W, or with the attempt      the current tokens        last use
//	     of the rotation at any age
//	6    older (but age < -M is row 8)                              refresh_reused            the session is revoked, one event
//	7    gen > current (a fail-over lost commits)                   session_expired           none; not theft
//	8    database error, clocks apart, outcome unknown              unavailable               none known; the token still works
//
// A verdict of row 6 on a request older than M, or whose caller is gone, becomes row 8: it proves nothing. With W = 0
// (the strict profile, RFC 9700) rows 4 and 5 and the attempt are gone: any gen below the current one is row 6.
//
// A refresh token of the service that users were imported from has no session yet and is not walked through the table;
// see exchange.
//
// Only an answer with new tokens sets cookies: a late answer must not put an older token back into the jar.
package accounts
