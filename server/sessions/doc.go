// Package sessions implements the session protocol: it verifies a credential, begins, reads,
// refreshes and revokes sessions, and issues their tokens. It knows nothing of HTTP, and verifies
// no passwords. [Manager.Begin] accepts a rehash of the password, which it stores in the
// transaction of the login.
//
// # The decision table
//
// A session is one row. Its tokens are a pure function of the row and the signing key, so every
// replica issues the same ones, and none is stored. The current generation rotates once it is W+M
// old. The token that it supersedes is accepted for W after the rotation. W is the rotation
// interval and M the margin for clocks (Policy); "age" is the age of the current generation, "gen"
// the generation that the presented credential names, and "attempt" the client's Refresh-Attempt.
//
// [Manager.Refresh] checks the rows in this order; Policy.decide implements those that depend on
// the session's row alone.
//
//	row  presented                                                  answer                    change
//	0    not authentic                                              refresh_invalid           none; the database is not queried
//	8    the request may be older than M                            service_unavailable       none
//	2    no row, even if exp has passed                             session_revoked           none
//	0b   from another location than the session's transport uses    refresh_invalid           none
//	1    exp has passed, or the idle or absolute end of the session session_expired           none
//	2    revoked, stale epoch, user inactive                        session_revoked           none; checked before any grace
//	3    gen = current, age ≥ W+M                                   the next generation       one guarded UPDATE
//	4    gen = current, age < W+M                                   the same tokens           last use; no cookie is set
//	5    gen = current-1 and -M ≤ age ≤ W, or with the attempt      the current tokens        last use
//	     of the rotation at any age
//	6    older (but age < -M is row 8)                              refresh_reused            the session is revoked, one event
//	7    gen > current (a failover lost commits)                    session_expired           none; not theft
//	8    database error, clocks differ, commit outcome unknown      service_unavailable       none known; the token still works
//
// In the transport server_held the refresh credential is the access cookie. Its own exp does not
// count in row 1.
//
// # Requests that were held up
//
// A request that may be older than M proves nothing about its credential: the client may have
// repeated the request, and the session may have rotated since. It is answered by row 8 before the
// database is queried. Row 6 checks this once more, and also answers by row 8 if the caller has
// disconnected. A request may be older than M
//
//   - if its headers were read more than M ago, or
//   - if they were read less than M after this process stood still for longer than M (stopped,
//     paused or suspended; RunHeartbeat notices that), because the request may have waited in the
//     kernel.
//
// Refresh tokens of the service that users were imported from have no session yet and do not go
// through the table (see [LegacyTokens]), but a request with one can be held up too.
//
// # The strict profile
//
// With W = 0 (RFC 9700, literal one-time use) rows 4 and 5, the attempt and M do not apply: any gen
// below the current one is row 6, and no request counts as held up.
//
// Only an answer with newer tokens sets cookies: a late answer must not replace a newer token in
// the cookie jar.
package sessions
