// Package credentials hashes and verifies passwords and checks whether a new
// one is acceptable.
//
// Hashes are Argon2id (RFC 9106) in the PHC string format. One hash costs
// tens of megabytes and tens of milliseconds, so a Hasher computes only a fixed
// number at a time, lets a few callers wait for a short while, and turns the
// rest away with ErrBusy: a storm of logins must not take memory and cores from
// the requests that need no hash.
//
// Hashes that Django has written are verified too (django.go), in the same slots
// and under caps of their own, until their users have logged in once.
//
// CheckPolicy checks a new password, and Breached looks it up in a file of breached
// passwords that is searched on disk. Build writes that file from a downloaded list
// of any size in bounded memory.
//
// A password is the exact sequence of bytes that was typed: never trimmed,
// never folded, never truncated and never normalised as Unicode. Two spellings
// of "é" are two passwords.
//
// The package must not know users, storage, HTTP or the configuration, and
// neither a password nor a hash ever occurs in one of its errors.
package credentials
