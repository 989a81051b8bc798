package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	c, _ := mustLoad(t, append(production, "ACCOUNTS_LEGACY_JWT_SECRETS=s3cr3t", "ACCOUNTS_LEGACY_JWT_UNTIL=2000-01-01"))
	var out bytes.Buffer
	for _, value := range []any{c, &c, c.SecretKeys, c.LegacyJWTSecrets, c.LegacyJWTSecrets[0], c.SecretKeys[0], c.Database, &c.Database, c.Database.Password, c.SMTPURL, &c.SMTPURL,
		map[string]Secret{"key": c.Database.Password}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%5.2f"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
			logger.Info("settings", "value", value, slog.Group("group", "value", value))
		}
	}
	fmt.Fprintln(&out, fmt.Errorf("with %v and %s", c.Database, c.SecretKeys))
	// %x of the secret would be its hexadecimal form
	for _, form := range []string{"s3cr3t", fmt.Sprintf("%x", "s3cr3t"), "czNjcjN0"} {
		if at := strings.Index(out.String(), form); at >= 0 {
			t.Errorf("%q is printed: ...%s", form, out.String()[max(0, at-200):at+20])
		}
	}
	if got, want := c.Database.String(), "mysql://acc:[redacted]@db.example.com:3306/accounts?tls=true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLogLevelIsParsed(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if c, _ := mustLoad(t, environ("LOG_LEVEL="+text)); c.Level() != want {
			t.Errorf("%s: %v", text, c.Level())
		}
	}
}

func TestParseDurationAcceptsDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "90s": 90 * time.Second, "7d": 7 * day, "1d12h": 36 * time.Hour, "1d1h1m1s": 25*time.Hour + 61*time.Second, "36500d": maxDays * day,
	} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", "5", "d", "-1d", "+1d", "1.5d", "1d1d", "1d 1h", "1d-1h", "1d+1h", "1dd", "1h1d", "-1s", "36501d",
		"99999999999999999999d", "2562048h", "1D", "\u0661d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestPortConflictIsDetected(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"localhost:80", "localhost:80", true},
		{"localhost:80", "[::1]:80", true},
		{"[::]:80", "192.0.2.1:80", true},
		{"192.0.2.1:80", "0.0.0.0:80", true},
		{":80", ":81", false},
		{"192.0.2.1:80", "localhost:80", false},
		{"localhost:0", "localhost:0", false},
	} {
		hostA, portA, _ := splitAddr(test.a)
		hostB, portB, _ := splitAddr(test.b)
		if hasPortConflict(hostA, portA, hostB, portB) != test.want || hasPortConflict(hostB, portB, hostA, portA) != test.want {
			t.Errorf("%s and %s: want %v", test.a, test.b, test.want)
		}
	}
}

// The guide to the settings is made from these descriptions: each setting has a text that fits into
// one row and a default, and there are no texts for settings that do not exist.
func TestEverySettingHasDescriptionAndDefault(t *testing.T) {
	want := []string{"ADDR", "PUBLIC_URL", "DATA_DIR", "DATABASE_URL", "SECRET_KEYS", "LEGACY_JWT_SECRETS", "LEGACY_JWT_UNTIL", "ACCESS_TTL", "REFRESH_IDLE_TTL", "SERVER_HELD_IDLE_TTL",
		"SESSION_MAX_AGE", "ROTATION_INTERVAL", "REGISTRATION", "EMAIL_VERIFICATION", "PASSWORD_MIN_LENGTH", "BREACHED_PASSWORDS",
		"VERIFY_URL", "RESET_URL", "EMAIL_CHANGE_URL", "HOME_URL", "VERIFY_TTL", "RESET_TTL", "EMAIL_CHANGE_TTL",
		"MAIL", "SMTP_URL", "MAIL_FROM", "MAIL_SENDERS", "MAILS_PER_RECIPIENT",
		"LOGIN_FAILURES_PER_ACCOUNT", "LOGIN_FAILURES_PER_CLIENT", "PASSWORDS_PER_CLIENT", "PASSWORDS_PER_USER", "REGISTRATIONS_PER_CLIENT", "CONFIRMATIONS_PER_CLIENT", "RARE_ACTIONS_PER_USER", "MAILS_PER_STAFF", "EVENT_RETENTION",
		"CORS_ORIGINS", "TRUSTED_PROXIES", "PROXY_HEADER", "METRICS_ADDR", "PROFILING", "DOCS", "CONSOLE", "AUTO_MIGRATE", "DB_MAX_CONNS",
		"LOG_LEVEL", "SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT"}
	if !slices.Equal(settingNames(), want) || len(docs) != len(want) {
		t.Fatalf("settings %v, %d of them documented", settingNames(), len(docs))
	}
	for i, s := range Settings() {
		if s.Name != Prefix+want[i] || s.Default == "" || len(s.Doc) < 40 || strings.ContainsAny(s.Doc+s.Default, "|\n") || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%+v", s)
		}
	}
	var table strings.Builder
	if err := WriteSettings(&table); err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(ACCOUNTS_[A-Z_]+)` \\| ").FindAllStringSubmatch(table.String(), -1)
	for i, row := range rows {
		if len(rows) != len(want) || row[1] != Prefix+want[i] {
			t.Fatalf("%d rows, want %d; row %d is %s", len(rows), len(want), i, row[1])
		}
	}
	if got := strings.Count(table.String(), "\n## "); !strings.HasPrefix(table.String(), "## ") || got != len(sections)-1 {
		t.Errorf("%d sections after the first, want %d: the first setting of a section is not a setting", got, len(sections)-1)
	}
}

// Load accepts every default that is described as a value.
func TestDescribedDefaultsAreAccepted(t *testing.T) {
	var environ []string
	for _, s := range Settings() {
		value := strings.Trim(s.Default, "`")
		if !strings.ContainsAny(value, " `") && !strings.Contains(value, "DATA_DIR") {
			environ = append(environ, s.Name+"="+value)
		}
	}
	if len(environ) != 34 {
		t.Fatalf("%d values among the defaults: %q", len(environ), environ)
	}
	mustLoad(t, environ)
}
