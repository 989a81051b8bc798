package accounts_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// longNames are logins of 254 characters, and of 150 as in the longest username, made of the
// characters that cost most to normalize.
func longNames() map[string]string {
	names := map[string]string{}
	for _, letter := range []string{"\ufdfa", "\ufb2c", "\u33c5", "İ", "각", "\u1f82", "\u0345", "😀"} {
		for form, around := range map[string][2]string{"a username": {"", ""}, "an address": {"a@", ".example"}, "behind an @": {"@", ""}} {
			for n, what := range map[int]string{150: " of 150 ", 254: " of 254 "} {
				names[form+what+letter] = around[0] + strings.Repeat(letter, n-len(around[0])-len(around[1])) + around[1]
			}
		}
	}
	return names
}

// A login that is rejected at once costs mostly the normalization of its name, and no name costs
// half a millisecond. The client is over its limit, which the server remembers, so the cost
// includes neither a database query nor a hash. The fastest of many tries counts, because the
// machine may be busy, and the bound grows with the cost of a plain name on a slow machine.
func TestNormalizationOfNamesIsCheap(t *testing.T) {
	t.Attr("control", "192")
	s := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=1/15m"}})
	cost := func(name string) time.Duration {
		fastest := time.Hour
		for range 50 {
			in := accounts.LoginInput{Name: name, Password: "a wrong one", Transport: accounts.BodyTokens, Client: accounts.Client{IP: "192.0.2.1"}}
			began := time.Now()
			_, _, err := s.Service.Login(context.Background(), in)
			fastest = min(fastest, time.Since(began))
			if err == nil {
				t.Fatal("the login succeeded")
			}
		}
		return fastest
	}
	plain := cost(strings.Repeat("a", 254))
	bound := slowdown * max(500*time.Microsecond, 40*plain)
	for what, name := range longNames() {
		if c := cost(name); c > bound {
			t.Errorf("%s costs %v, want at most %v; a plain name costs %v", what, c, bound, plain)
		}
	}
}
