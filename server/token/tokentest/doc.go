// Package tokentest makes tokens for tests: secrets that do not change, tokens that are signed with
// the real keys and have any content that a test needs, and the corpus of hostile tokens, which can
// be used to test every place that accepts a token.
//
// It is written from the specifications and imports neither server/token nor a JWT library, so that
// the two check each other. Only tests may import it.
package tokentest
