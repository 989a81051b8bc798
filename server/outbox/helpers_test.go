package outbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/accounts/server/metrics"
	"example.com/accounts/server/servertest"
)

// counter returns the value of a counter of a server.
func counter(t *testing.T, s *servertest.Server, c metrics.Counter) string {
	t.Helper()
	answer := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, fmt.Sprintf("accounts_events_total{event=%q} ", c)); ok {
			return strings.TrimSpace(n)
		}
	}
	return "0"
}

func wantUnavailable(t *testing.T, r *servertest.Response) {
	t.Helper()
	if r.Status != http.StatusServiceUnavailable || r.Code() != "service_unavailable" || r.Header.Get("Retry-After") == "" || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("status %d %s, Retry-After %q, Set-Cookie %q", r.Status, r.Code(), r.Header.Get("Retry-After"), r.Header.Get("Set-Cookie"))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
