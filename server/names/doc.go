// Package names parses, normalizes and compares usernames, e-mail addresses and the names of
// people. Its functions are pure: they read no database, so they cannot tell whether a name is
// taken.
//
// Functions called Normalize return the form in which names are compared. They accept every name
// that a user may have. Functions called ParseNew also return that form, but accept only a name
// that a user may choose today: it is displayed as typed, and must not be mistaken for the name of
// another user.
//
//   - username.go: usernames, and those of imported users that no new user can choose.
//   - email.go: e-mail addresses.
//   - login.go: the name in a login, which is one or the other.
//   - person.go: first and last names.
//   - confusables.go: look-alike characters (UTS #39).
package names
