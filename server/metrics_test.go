package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// metrics returns the values of all metrics, as Prometheus would read them. It checks that the text
// contains none of the strings in without.
func metrics(t *testing.T, s *servertest.Server, without ...string) map[string]float64 {
	t.Helper()
	answer := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	found := map[string]float64{}
	for line := range strings.Lines(answer.Body.String()) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil && !strings.HasPrefix(line, "#") {
			found[name] = n
		}
	}
	for _, each := range without {
		if strings.Contains(answer.Body.String(), each) {
			t.Errorf("the metrics contain %q", each)
		}
	}
	return found
}

// While the mail server is unavailable, each attempt fails and the mail waits for the next one. The
// mail is not due in the meantime, but the metrics that operators alert on must still grow.
func TestMetricsGrowDuringMailOutage(t *testing.T) {
	t.Attr("control", "208")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		t.Parallel()
		var away atomic.Bool
		away.Store(true)
		s := servertest.Start(t, servertest.Options{Engine: engine, Mail: outage{&away}})
		post(s, "/accounts/register", object{"email": "ada@example.com", "password": "correct horse battery"}).Want(t, http.StatusAccepted, "")
		attempted := func(n int) func() bool {
			return func() bool {
				return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE attempts >= ? AND lease IS NULL AND done_at IS NULL", n) == 1
			}
		}
		for i, step := range []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second} {
			s.Clock.Advance(step)
			post(s, "/accounts/password/reset", object{"email": "unknown@example.com"}) // wakes the senders
			waitFor(t, attempted(i+1))
			waitFor(t, func() bool { return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 1 })
			m := metrics(t, s)
			least := (5 * time.Second * (1<<i - 1)).Seconds()
			if age := m["accounts_outbox_age_seconds"]; age < least || age > least+60 || m["accounts_outbox_mails_due"] != 1 {
				t.Errorf("after %d attempts: %v mails, the oldest %v s old, want 1 mail, %v s old", i+1, m["accounts_outbox_mails_due"], age, least)
			}
		}
		away.Store(false)
		s.Clock.Advance(40 * time.Second)
		post(s, "/accounts/password/reset", object{"email": "unknown@example.com"})
		waitFor(t, func() bool { return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 0 })
		if m := metrics(t, s); m["accounts_outbox_mails_due"] != 0 || m["accounts_outbox_age_seconds"] != 0 {
			t.Errorf("after all mails were delivered: got %v mails due and an age of %v s, want 0", m["accounts_outbox_mails_due"], m["accounts_outbox_age_seconds"])
		}
	})
}

// outage is a mail server that can be unavailable.
type outage struct{ away *atomic.Bool }

func (o outage) Send(context.Context, mail.Message) error {
	if o.away.Load() {
		return errors.New("connection refused")
	}
	return nil
}

func TestMetricsChangeWithUse(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: []string{"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=1/15m"}})
		u := s.NewUser()
		before := metrics(t, s)
		for name, want := range map[string]float64{
			"accounts_hash_slots": 4, "accounts_hashes_running": 0, "accounts_hashes_waiting": 0, "accounts_outbox_mails_due": 0, "accounts_outbox_age_seconds": 0,
			"accounts_rate_limited_total": 0, `accounts_refreshes_total{outcome="regression"}`: 0, `accounts_refreshes_total{outcome="reused"}`: 0,
			`accounts_build_info{goversion="` + runtime.Version() + `",version="test"}`: 1,
		} {
			if got, ok := before[name]; !ok || got != want {
				t.Errorf("%s is %v %v, want %v", name, got, ok, want)
			}
		}
		for _, name := range []string{"accounts_db_connections_in_use", "accounts_db_connections_open", "accounts_db_connections_max", "accounts_db_waits_total", "accounts_db_wait_seconds_total", "accounts_clock_offset_seconds"} {
			if _, ok := before[name]; !ok {
				t.Errorf("the metrics lack %s", name)
			}
		}

		c := s.Login(u, accounts.Hybrid)
		c.RefreshTokens().Want(t, http.StatusOK, "")
		c.Logout().Want(t, http.StatusNoContent, "")
		c.Copy().RefreshTokens()
		name := newName()
		for range 2 {
			signIn(s, name, "a wrong password")
		}
		post(s, "/accounts/password/reset", object{"email": u.Email}).Want(t, http.StatusAccepted, "")
		s.Clock.Advance(time.Minute)
		after := metrics(t, s, u.Email, u.Username, name)
		for name, want := range map[string]float64{
			`accounts_http_request_duration_seconds_count{operation="login",status="200"}`: 1, `accounts_http_request_duration_seconds_count{operation="login",status="401"}`: 1,
			`accounts_http_request_duration_seconds_count{operation="login",status="429"}`: 1, `accounts_refreshes_total{outcome="same"}`: 1,
			"accounts_rate_limited_total": 1, "accounts_outbox_mails_due": 1,
		} {
			if after[name] != want {
				t.Errorf("%s is %v, want %v", name, after[name], want)
			}
		}
		if age := after["accounts_outbox_age_seconds"]; age < 60 || age > 120 {
			t.Errorf("the oldest mail has waited for %v s, want 60 to 120", age)
		}

		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		if away := metrics(t, s); away["accounts_hash_slots"] != 4 {
			t.Error("the metrics lack the hash slots while the database is unavailable")
		} else if _, ok := away["accounts_outbox_mails_due"]; ok {
			t.Error("the metrics contain a number of mails while the database is unavailable")
		}
	})
}
