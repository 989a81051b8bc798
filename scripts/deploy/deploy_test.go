// Package deploy has no code. It contains files for operators: a systemd unit, alerts for
// Prometheus and a dashboard for Grafana. Its test compares the alerts and the dashboard with the
// metrics of a running server.
package deploy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/api"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/servertest"
)

var (
	metricName = regexp.MustCompile(`\b(?:accounts|process|go)_[a-z_]+\b`)
	outcomes   = regexp.MustCompile(`\b(accounts_[a-z_]+)\{[^}]*\boutcome(?:=|!=|=~|!~)"([^"]+)"`)
	operations = regexp.MustCompile(`\boperation!?=~?"([^"]+)"`)
)

// An alert on a metric, an outcome or an operation that does not exist never fires.
func TestAlertsAndDashboardUseExistingMetrics(t *testing.T) {
	t.Parallel()
	exported, known := exportedMetrics(t), contractOperations(t)
	for _, file := range []string{"prometheus-rules.yaml", "grafana-dashboard.json"} {
		queries := queriesOf(t, file)
		if len(metricName.FindAllString(queries, -1)) < 15 {
			t.Errorf("%s: too few metrics were found; does the pattern still match?", file)
		}
		for _, name := range metricName.FindAllString(queries, -1) {
			if !exported[name] {
				t.Errorf("%s: /metrics has no %s", file, name)
			}
		}
		for _, match := range outcomes.FindAllStringSubmatch(queries, -1) {
			for outcome := range strings.SplitSeq(match[2], "|") {
				exists := func(c metrics.Counter) bool { return c.Metric == match[1] && c.Outcome == outcome }
				if !slices.ContainsFunc(metrics.Counters(), exists) {
					t.Errorf("%s: %s has no outcome %q", file, match[1], outcome)
				}
			}
		}
		for _, operation := range alternatives(operations, queries) {
			if !known[operation] {
				t.Errorf("%s: the contract has no operation %q", file, operation)
			}
		}
	}
}

// exportedMetrics returns the names of the series on /metrics after one request.
func exportedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	scrape := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(scrape, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	names := map[string]bool{}
	for line := range strings.Lines(scrape.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			names[metricName.FindString(line)] = true
		}
	}
	return names
}

func contractOperations(t *testing.T) map[string]bool {
	t.Helper()
	contract, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, item := range contract.Paths.Map() {
		for _, operation := range item.Operations() {
			names[operation.OperationID] = true
		}
	}
	return names
}

// queriesOf returns the text of a file without comments. In JSON it removes the escapes of quotes.
func queriesOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".json") {
		if !json.Valid(content) {
			t.Fatalf("%s is not JSON", file)
		}
		return strings.ReplaceAll(string(content), `\"`, `"`)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(content)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// alternatives returns the values that the pattern's group matches, split at |.
func alternatives(pattern *regexp.Regexp, text string) (list []string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		list = append(list, strings.Split(match[1], "|")...)
	}
	return list
}
