// Package tokentest makes tokens for tests: secrets that do not change, tokens
// signed with the real keys that say whatever a test wants, and the corpus of
// hostile tokens, which any door that takes a token can be tried with.
//
// It is written from the specifications and imports neither server/token nor a
// JWT library, so that the two check each other. It must not be imported by
// anything but tests.
package tokentest
