package servertest

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"example.com/accounts/server/metrics"
)

// Counter returns the value of a counter of the server, as /metrics shows it.
func (s *Server) Counter(c metrics.Counter) string {
	answer := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if n, ok := strings.CutPrefix(line, Series(c)+" "); ok {
			return strings.TrimSpace(n)
		}
	}
	return "missing"
}

// Series returns the name of a counter with its label, as /metrics shows it.
func Series(c metrics.Counter) string {
	if c.Outcome == "" {
		return c.Metric
	}
	return c.Metric + `{outcome="` + c.Outcome + `"}`
}
