// Package credentials hashes and verifies passwords and checks whether a new
// one is acceptable.
//
// Hashes are Argon2id (RFC 9106) in the PHC string format. One hash costs tens of megabytes and
// tens of milliseconds. So a [Hasher] has a fixed number of hash slots, each for one hash at once.
// A few callers wait for a slot for a short time; the others are rejected with [ErrBusy]: a flood
// of logins must not use up the memory and cores that requests without a hash need.
//
// Hashes that Django has written are verified too (django.go), in the same slots and with caps of
// their own, until their users have logged in once.
//
// [CheckPolicy] checks a new password, and [Breached] looks it up in a file of breached passwords
// that is searched on disk. [Build] writes that file from a downloaded list of any size in bounded
// memory.
//
// A password is the exact sequence of bytes that the user typed. It is never trimmed, folded,
// truncated or normalized as Unicode, so two spellings of "é" are two passwords.
//
// The package must not depend on users, storage, HTTP or the configuration. None of its errors
// contains a password or a hash.
package credentials
