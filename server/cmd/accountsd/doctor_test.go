package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
)

// results returns the results of the checks in the output of doctor --json, in their order, and the
// details by check.
func results(t *testing.T, out string) (string, map[string]string) {
	t.Helper()
	var list []string
	details := map[string]string{}
	for line := range strings.Lines(out) {
		var d diagnosis
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		list = append(list, d.Check+" "+d.Result)
		details[d.Check] = d.Detail
	}
	return strings.Join(list, ", "), details
}

const allOK = "settings ok, database ok, schema ok, clock ok, mail ok, public-url ok"

func TestDoctorChecksRunningServer(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		m := startMailServer(t)
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_SMTP_URL=smtp://app:hunter2@"+m.addr+"?tls=off", "ACCOUNTS_MAIL_FROM=a@example.com")
		running := s.serve()
		out := s.mustRun("", "doctor", "--json")
		if got, _ := results(t, out); got != allOK || strings.Contains(out, "hunter2") {
			t.Error(out)
		}
		text := s.mustRun("", "doctor")
		if strings.Count(text, "\n") != 6 || !strings.Contains(text, "ok       mail        the mail server is ready: smtp://"+m.addr+"\n") {
			t.Error(text)
		}
		if len(m.received()) != 0 {
			t.Error("a mail was sent")
		}
		running.stop()
		r := s.run("", "doctor", "--json")
		if got, _ := results(t, r.out); r.code != 1 || r.err != "accountsd: 1 of 6 checks failed\n" || got != strings.Replace(allOK, "public-url ok", "public-url failed", 1) {
			t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
		}
	})
}

// Each fault fails its own check, and the others still run.
func TestDoctorNamesEachFault(t *testing.T) {
	m := startMailServer(t)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(other.Close)
	moved := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusMovedPermanently))
	t.Cleanup(moved.Close)
	for name, test := range map[string]struct {
		settings       []string
		failed, detail string
	}{
		"settings":        {[]string{"ACCOUNTS_ADR=x", "ACCOUNTS_ACCESS_TTL=1h"}, "settings", "ACCOUNTS_ADR is not a setting. Did you mean ACCOUNTS_ADDR?; ACCOUNTS_ACCESS_TTL must be at most 15m"},
		"no database":     {[]string{"ACCOUNTS_DATABASE_URL=mysql://app:hunter2@" + freeAddr(t) + "/app"}, "database", "cannot open the database mysql://app:[redacted]@localhost:"},
		"no SQLite file":  {nil, "database", "cannot open the database; a server on loopback creates it at its first start: stat "},
		"wrong password":  {[]string{"ACCOUNTS_SMTP_URL=smtp://app:secret7@" + m.addr + "?tls=off", "ACCOUNTS_MAIL_FROM=a@example.com"}, "mail", "smtp://" + m.addr + ": mail: AUTH: the server answered 535 5.7.8"},
		"no TLS":          {[]string{"ACCOUNTS_SMTP_URL=smtp://app:hunter2@" + m.addr, "ACCOUNTS_MAIL_FROM=a@example.com"}, "mail", "smtp://" + m.addr + ": mail: STARTTLS: the server does not offer it"},
		"another program": {[]string{"ACCOUNTS_PUBLIC_URL=" + other.URL}, "public-url", other.URL + "/.well-known/jwks.json is answered by another program: the response is not a set of keys"},
		"redirect":        {[]string{"ACCOUNTS_PUBLIC_URL=" + moved.URL}, "public-url", moved.URL + "/.well-known/jwks.json answered 301 Moved Permanently"},
		"nothing listens": {nil, "public-url", "Get \"http://localhost:"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShell(t, append(test.settings, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)...)
			r := s.run("", "doctor", "--json")
			got, details := results(t, r.out)
			if r.code != 1 || strings.Count(got, ",") != 5 || !strings.Contains(got, test.failed+" failed") || !strings.HasPrefix(details[test.failed], test.detail) || strings.Contains(r.out, "hunter2") || strings.Contains(r.out, "secret7") {
				t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
			}
			if _, err := os.Stat(s.dir); err == nil {
				t.Error("the command has created a data folder")
			}
		})
	}
}

func TestDoctorDetectsForeignServerAndOldSchema(t *testing.T) {
	s := newShell(t, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
	running := s.serve()
	defer running.stop()
	mine := newShell(t, "ACCOUNTS_PUBLIC_URL="+running.URL, "ACCOUNTS_AUTO_MIGRATE=false")
	if err := os.MkdirAll(mine.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_ = mine.run(goodPassword, "user", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin") // creates the secret and an empty database
	r := mine.run("", "doctor", "--json")
	got, details := results(t, r.out)
	if got != "settings ok, database ok, schema failed, clock ok, mail ok, public-url failed" || r.err != "accountsd: 2 of 6 checks failed\n" ||
		details["public-url"] != running.URL+" is answered by a server that has none of the secrets of these settings" || details["schema"] != `too old: run "accountsd migrate up"` {
		t.Error(r.out, r.err)
	}
}

func TestDoctorJudgesDifferenceOfClocks(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		offset, took time.Duration
		isOK         bool
	}{{0, 0, true}, {2 * second, 0, true}, {-2 * second, 0, true}, {3 * second, 0, false}, {-3 * second, 0, false}, {3 * second, 2 * second, true}} {
		if detail, err := compareClocks(test.offset, test.took, 2500*time.Millisecond); (err == nil) != test.isOK {
			t.Errorf("%v %v: %q %v", test.offset, test.took, detail, err)
		}
	}
}
