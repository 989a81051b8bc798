package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// Eight clients with one wrong password each count as eight clients, even if the proxy includes
// their ports. One client with eight wrong passwords counts as one.
func TestLimitsIgnorePortsWrittenByProxies(t *testing.T) {
	t.Attr("control", "191")
	for header, form := range map[string]string{"X-Forwarded-For": "%s:%d", "Forwarded": `for="%s:%d";proto=https`} {
		eachEngine(t, func(t *testing.T, s *servertest.Server) {
			try := func(ip string, port int) int {
				return post(s, "/accounts/login", object{"username": newName(), "password": "a wrong one"},
					servertest.Header(header, "6.6.6.6, "+fmt.Sprintf(form, ip, port))).Status
			}
			for i := range 8 {
				if status := try(fmt.Sprint("203.0.113.", i), 1000+i); status != http.StatusUnauthorized {
					t.Errorf("%s: client %d: got status %d, want 401", header, i, status)
				}
			}
			for i := range 8 {
				want := http.StatusUnauthorized
				if i >= 3 {
					want = http.StatusTooManyRequests
				}
				if status := try("203.0.113.99", 2000+i); status != want {
					t.Errorf("%s: guess %d of one client: got status %d, want %d", header, i, status, want)
				}
			}
			if log := s.Log.String(); !strings.Contains(log, `"ip":"203.0.113.7"`) || strings.Contains(log, "ACCOUNTS_PROXY_HEADER") {
				t.Errorf("%s: the log must contain the address of the client and no warning", header)
			}
		}, "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=3/15m", "ACCOUNTS_PROXY_HEADER="+header, trusted)
	}
}
