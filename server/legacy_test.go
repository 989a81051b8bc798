package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

// Refresh tokens of the service that users were imported from. Each can be exchanged for one
// session until the date that the operator has set, and is not accepted for anything else.

const (
	djangoSecret  = "django-insecure-p#5k,2m=x0n9(w!v3r@p8q"
	byHandSecret  = "the secret of refresh tokens made by hand"
	accessOfBoth  = "the secret of access tokens made by hand"
	oldCookie     = "refreshtoken"
	someAttempt   = "AAAAAAAAAAAAAAAAAAAAAA"
	anotherOne    = "BBBBBBBBBBBBBBBBBBBBBB"
	httpsSettings = "ACCOUNTS_PUBLIC_URL=https://accounts.example"
)

// legacySettings returns the settings that enable legacy tokens. An operator may list the secret of
// access tokens by mistake, which must do no harm, so the list contains one.
func legacySettings(until time.Time, more ...string) []string {
	return append([]string{
		"ACCOUNTS_LEGACY_JWT_SECRETS=" + djangoSecret + "\n" + byHandSecret + "\n" + accessOfBoth,
		"ACCOUNTS_LEGACY_JWT_UNTIL=" + until.UTC().Format(time.RFC3339),
	}, more...)
}

func startLegacy(t *testing.T, engine servertest.Engine, more ...string) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: legacySettings(time.Now().Add(7*day), more...)})
}

// newImported returns a user as the import creates one.
func newImported(t *testing.T, s *servertest.Server) servertest.User {
	t.Helper()
	u := s.NewUser()
	s.Database.Exec(t, "UPDATE users SET imported_epoch = session_epoch WHERE id = ?", u.ID)
	return u
}

func simpleToken(u servertest.User) string {
	now := time.Now().Unix()
	return tokentest.LegacySimple(djangoSecret, "refresh", u.ID, now-60, now+3600, uuid.NewString())
}

func tokenByHand(u servertest.User) string {
	now := time.Now().Unix()
	return tokentest.LegacyByHand(byHandSecret, u.ID, now-60-u.ID%1000, now+6*86400)
}

// legacyKinds mint a token of each kind: by the library simplejwt and by hand.
var legacyKinds = map[string]func(servertest.User) string{"simplejwt": simpleToken, "by hand": tokenByHand}

// legacyWays send a legacy token in the two ways that a front end may use. The cookie is sent with
// the value of Django's csrftoken.
var legacyWays = map[string]func(s *servertest.Server, raw string, options ...servertest.Option) *servertest.Response{"cookie": byOldCookie, "body": byBody}

func byOldCookie(s *servertest.Server, raw string, options ...servertest.Option) *servertest.Response {
	c := s.Anonymous()
	c.HTTP.Jar = nil
	return c.Do(http.MethodPost, "/accounts/refresh_token", nil,
		append([]servertest.Option{servertest.Cookie(oldCookie, raw), servertest.Header("X-CSRFToken", "of Django")}, options...)...)
}

func byBody(s *servertest.Server, raw string, options ...servertest.Option) *servertest.Response {
	c := s.Anonymous()
	c.HTTP.Jar = nil
	return c.Do(http.MethodPost, "/accounts/refresh_token", object{"refresh_token": raw}, options...)
}

func attempt(value string) servertest.Option { return servertest.Header("Refresh-Attempt", value) }

// eachLegacy runs a test for each kind and way, on each engine, on http and on https.
func eachLegacy(t *testing.T, f func(t *testing.T, s *servertest.Server, mint func(servertest.User) string, way string)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		for scheme, more := range map[string][]string{"http": nil, "https": {httpsSettings}} {
			s := startLegacy(t, engine, more...)
			for kind, mint := range legacyKinds {
				for way := range legacyWays {
					t.Run(scheme+" "+kind+" "+way, func(t *testing.T) { f(t, s, mint, way) })
				}
			}
		}
	})
}

func TestLegacyTokenIsExchangedForSession(t *testing.T) {
	eachLegacy(t, func(t *testing.T, s *servertest.Server, mint func(servertest.User) string, way string) {
		u := newImported(t, s)
		raw := mint(u)
		r := legacyWays[way](s, raw).Want(t, http.StatusOK, "")
		want := map[string]any{"cookie": "hybrid", "body": "body"}[way]
		if r.JSON["token_transport"] != want || r.JSON["generation"] != float64(0) || r.Text("access_token") == "" || (r.Text("refresh_token") != "") != (way == "body") {
			t.Errorf("%s", r.Raw)
		}
		wantLegacyCookies(t, s, way, r)

		// The session is a regular session of the user.
		c := s.Anonymous()
		c.Access = r.Text("access_token")
		if got := c.Profile().Want(t, http.StatusOK, "").JSON["user"].(map[string]any)["id"]; got != float64(u.ID) {
			t.Errorf("of user %v, want %d", got, u.ID)
		}
		sessions := c.Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "").JSON["sessions"].([]any)
		if len(sessions) != 1 {
			t.Errorf("got %d sessions, want 1", len(sessions))
		}
		events := c.Do(http.MethodGet, "/accounts/events", nil).Want(t, http.StatusOK, "").JSON["events"].([]any)
		if first := events[0].(map[string]any); first["kind"] != "login" || first["detail"] != "with a refresh token of the Django service" {
			t.Errorf("%v", first)
		}
		id := uuid.MustParse(r.JSON["session"].(map[string]any)["id"].(string))
		l, err := s.Store.Session(t.Context(), id)
		if err != nil || l.User.LastLogin == nil || !l.User.LastLogin.Equal(l.CreatedAt) || l.AuthenticatedAt == nil || l.AuthenticatedAt.Year() != 1970 {
			t.Errorf("error %v, last login %v, password presented at %v", err, l.User.LastLogin, l.AuthenticatedAt)
		}
		hash := identityOf(raw)
		used, err := s.Store.Token(t.Context(), models.PurposeLegacyRefresh, hash[:])
		if err != nil || used.ID != l.ID || used.UserID != u.ID || used.UsedAt == nil || used.Email != "" || used.ExpiresAt.Before(time.Now()) {
			t.Errorf("%v, %+v", err, used)
		}

		// A token of simplejwt is identified by its jti, as in simplejwt's own blacklist. Other
		// claims do not make it a different token.
		if header, claims := partsOf(raw); strings.Contains(claims, `"jti"`) {
			raw := tokentest.Legacy(djangoSecret, header, claims[:len(claims)-1]+`,"name":"Ada"}`)
			legacyWays[way](s, raw).Want(t, http.StatusUnauthorized, "refresh_invalid")
		}

		// The token is not accepted a second time, in either way.
		before := s.Database.Dump(t)
		for again, show := range legacyWays {
			for _, options := range [][]servertest.Option{nil, {attempt(someAttempt)}} {
				if r := show(s, raw, options...); r.Status != http.StatusUnauthorized || r.Code() != "refresh_invalid" {
					t.Errorf("a second exchange by %s: got %d %s, want 401 refresh_invalid", again, r.Status, r.Code())
				}
			}
		}
		wantUnchanged(t, s, before)
		if dump := before + s.Log.String(); strings.Contains(dump, raw) || strings.Contains(dump, raw[strings.LastIndex(raw, "."):]) || strings.Contains(dump, djangoSecret) || strings.Contains(dump, byHandSecret) {
			t.Error("the database or the log contains the token or its secret")
		}
	})
}

// wantLegacyCookies checks the cookies of an exchange. On loopback the new refresh cookie has the
// name of the old one and replaces it. On https the old one is cleared.
func wantLegacyCookies(t *testing.T, s *servertest.Server, way string, r *servertest.Response) {
	t.Helper()
	got := map[string]bool{}
	for _, c := range r.Cookies() {
		if _, twice := got[c.Name]; twice {
			t.Errorf("the response sets %s twice", c.Name)
		}
		got[c.Name] = c.MaxAge > 0 && c.Value != ""
		if c.Path != "/" || c.Domain != "" {
			t.Errorf("%v would not replace the old cookie", c)
		}
	}
	want := map[string]bool{}
	switch {
	case way == "body":
	case s.Config.IsSecure():
		want = map[string]bool{"__Host-refreshtoken": true, "csrftoken": true, "__Host-access": false, oldCookie: false}
	default:
		want = map[string]bool{"refreshtoken": true, "csrftoken": true, "access": false}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cookies set (true) and expired (-want +got):\n%s", diff)
	}
}

func TestInvalidLegacyTokensAreRejected(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := startLegacy(t, engine, "ACCOUNTS_RARE_ACTIONS_PER_USER=0")
		forged := byBody(s, "a.b.c").Want(t, http.StatusUnauthorized, "refresh_invalid")
		now := time.Now().Unix()
		for name, make := range map[string]func(u servertest.User) string{
			"an access token of simplejwt": func(u servertest.User) string {
				return tokentest.LegacySimple(djangoSecret, "access", u.ID, now-60, now+60, "x")
			},
			"a long one": func(u servertest.User) string {
				return tokentest.LegacySimple(djangoSecret, "access", u.ID, now-60, now+7*86400, "x")
			},
			"an access token made by hand, its secret too": func(u servertest.User) string { return tokentest.LegacyByHand(accessOfBoth, u.ID, now-60, now+240) },
			"a secret that is not configured": func(u servertest.User) string {
				return tokentest.LegacySimple("other", "refresh", u.ID, now-60, now+60, "x")
			},
			"expired": func(u servertest.User) string {
				return tokentest.LegacySimple(djangoSecret, "refresh", u.ID, now-60, now-1, "x")
			},
			"expired, by hand": func(u servertest.User) string {
				return tokentest.LegacyByHand(byHandSecret, u.ID, now-8*86400, now-86400)
			},
			"an unknown user": func(u servertest.User) string {
				return tokentest.LegacySimple(djangoSecret, "refresh", u.ID+1000, now-60, now+60, "x")
			},
			"of a user who was not imported":          func(servertest.User) string { return simpleToken(s.NewUser()) },
			"by hand, of a user who was not imported": func(servertest.User) string { return tokenByHand(s.NewUser()) },
			"inactive": func(u servertest.User) string { setActive(t, s, u, false); return simpleToken(u) },
			"inactive, and the epoch is as it was": func(u servertest.User) string {
				s.Database.Exec(t, "UPDATE users SET is_active = ? WHERE id = ?", false, u.ID)
				return simpleToken(u)
			},
			"inactive for a while": func(u servertest.User) string {
				setActive(t, s, u, false)
				setActive(t, s, u, true)
				return simpleToken(u)
			},
			"logged out everywhere": func(u servertest.User) string {
				s.Login(u, accounts.Hybrid).Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, 204, "")
				return simpleToken(u)
			},
			"logged out everywhere else": func(u servertest.User) string {
				s.Login(u, accounts.Hybrid).Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, 204, "")
				return tokenByHand(u)
			},
			"the password changed": func(u servertest.User) string {
				changePassword(s.Login(u, accounts.Hybrid), u.Password, otherPassword).Want(t, 200, "")
				return simpleToken(u)
			},
			"the password set by an operator": func(u servertest.User) string { setPassword(t, s, u); return simpleToken(u) },
			"the account deleted": func(u servertest.User) string {
				deleteAccount(s.Login(u, accounts.Hybrid)).Want(t, 204, "")
				return simpleToken(u)
			},
			"revoked in the old service before the import": func(u servertest.User) string { raw := simpleToken(u); blacklist(t, s, u, raw); return raw },
		} {
			u := newImported(t, s)
			raw := make(u)
			before := s.Database.Dump(t)
			for way, show := range legacyWays {
				for _, options := range [][]servertest.Option{nil, {attempt(someAttempt)}} {
					r := show(s, raw, options...)
					if r.Status != http.StatusUnauthorized || sameProblem(r) != sameProblem(forged) || len(r.Cookies()) > 0 {
						t.Errorf("%s, by %s: got %d, want the response to a forged token\n%s", name, way, r.Status, r.Raw)
					}
				}
			}
			wantUnchanged(t, s, before)
		}
		// The end of a single session does not revoke legacy tokens, just as in the old service.
		u := newImported(t, s)
		s.Login(u, accounts.Hybrid).Logout().Want(t, http.StatusNoContent, "")
		byBody(s, simpleToken(u)).Want(t, http.StatusOK, "")
	})
}

// sameProblem returns a response without the parts that differ between requests.
func sameProblem(r *servertest.Response) string {
	p := maps.Clone(r.JSON)
	delete(p, "request_id")
	text, _ := json.Marshal(p)
	return string(text) + r.Header.Get("WWW-Authenticate")
}

func setPassword(t *testing.T, s *servertest.Server, u servertest.User) {
	t.Helper()
	if err := s.Service.SetPassword(t.Context(), u.Username, otherPassword); err != nil {
		t.Fatal(err)
	}
}

// identityOf returns the hash that the server stores to identify a token.
func identityOf(raw string) [sha256.Size]byte {
	var claims struct{ Jti string }
	if _, text := partsOf(raw); json.Unmarshal([]byte(text), &claims) == nil && claims.Jti != "" {
		raw = "jti:" + claims.Jti
	}
	return sha256.Sum256([]byte(raw))
}

// blacklist stores a token as the import does if the old service had revoked it.
func blacklist(t *testing.T, s *servertest.Server, u servertest.User, raw string) {
	t.Helper()
	hash := identityOf(raw)
	id := uuid.Must(uuid.NewV7())
	now := time.Now().UTC().Truncate(time.Microsecond)
	s.Database.Exec(t, `INSERT INTO one_time_tokens (id, purpose, hash, user_id, email, email_norm, username, first_name, last_name, locale, password, created_at, expires_at, used_at)
		VALUES (?, ?, ?, ?, '', '', '', '', '', '', '', ?, ?, ?)`, id[:], models.PurposeLegacyRefresh, hash[:], u.ID, now, now.Add(day), now)
}

// From the configured date on, legacy tokens are rejected. Sessions continue.
func TestLegacyTokensAreRejectedAfterConfiguredDate(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		until := time.Now().Add(10 * time.Second).Truncate(time.Second)
		at := until.Add(-time.Second)
		clock := time.Now
		if engine == servertest.SQLite { // MySQL has its own clock
			clock = func() time.Time { return at }
		}
		s := servertest.Start(t, servertest.Options{Engine: engine, Settings: legacySettings(until), Now: clock})
		u := newImported(t, s)
		first, second := tokenByHand(u), simpleToken(u)
		r := byBody(s, first, attempt(someAttempt)).Want(t, http.StatusOK, "")
		before := s.Database.Dump(t)
		if engine == servertest.MySQL {
			time.Sleep(time.Until(until))
		} else {
			s.Clock.Advance(time.Second)
		}
		for way, show := range legacyWays {
			for _, raw := range []string{first, second} {
				if r := show(s, raw, attempt(someAttempt)); r.Code() != "refresh_invalid" {
					t.Errorf("%s: %d %s", way, r.Status, r.Code())
				}
			}
		}
		wantUnchanged(t, s, before)
		if engine == servertest.SQLite {
			byBody(s, r.Text("refresh_token")).Want(t, http.StatusOK, "")
		}
	})
}

// Without the settings, or after their date, the server accepts no legacy token.
func TestLegacyTokensAreUnknownWithoutSettings(t *testing.T) {
	for name, settings := range map[string][]string{"not set": nil, "over": legacySettings(time.Now().Add(-time.Second))} {
		for _, more := range [][]string{nil, {httpsSettings}} {
			s := servertest.Start(t, servertest.Options{Settings: append(slices.Clone(settings), more...)})
			u := newImported(t, s)
			before := s.Database.Dump(t)
			byBody(s, simpleToken(u)).Want(t, http.StatusUnauthorized, "refresh_invalid")
			code := "refresh_invalid"
			if len(more) > 0 && settings == nil {
				code = "credentials_missing"
			}
			if r := byOldCookie(s, simpleToken(u)); r.Status != http.StatusUnauthorized || r.Code() != code {
				t.Errorf("%s: %d %s, want %s", name, r.Status, r.Code(), code)
			}
			want := http.StatusUnauthorized
			if settings != nil { // as for every authentic token that has expired
				want = http.StatusForbidden
			}
			if r := byOldCookie(s, simpleToken(u), servertest.Header("X-CSRFToken", "")); r.Status != want {
				t.Errorf("%s: without the CSRF header: got %d %s, want %d", name, r.Status, r.Code(), want)
			}
			wantUnchanged(t, s, before)
		}
	}
}

// No other operation accepts a legacy token, and this operation rejects all tokens of the hostile
// corpus.
func TestOnlyRefreshAcceptsLegacyTokens(t *testing.T) {
	s := startLegacy(t, servertest.SQLite)
	u := newImported(t, s)
	raw := simpleToken(u)
	ways := waysIn(t, s)
	before := s.Database.Dump(t)
	others, carried := 0, 0
	for _, w := range ways {
		if w.op.ID == "getSession" { // always responds with 200
			if r := w.present(t, s, raw).Want(t, http.StatusOK, ""); r.JSON["session"] != nil {
				t.Errorf("%s: %s", w, r.Raw)
			}
			continue
		}
		if w.op.ID != "refreshToken" {
			w.wantRejected(t, "a refresh token of the old service", w.invalid(), w.present(t, s, raw))
			others++
			continue
		}
		if w.place == atAccess {
			w.wantRejected(t, "a refresh token of the old service", w.invalid(), w.present(t, s, raw))
		}
		for _, c := range tokentest.Hostile(w.use(), servertest.SecretKey, accessOf(w.session), refreshOf(w.session), time.Now()) {
			want := w.invalid()
			if c.Expired {
				want = w.expired()
			}
			if r := w.present(t, s, c.Raw); r != nil && r.Status != http.StatusRequestEntityTooLarge {
				w.wantRejected(t, c.Name, want, r)
				carried++
			}
		}
	}
	if others < 10 || carried < 1000 {
		t.Errorf("only %d other operations and %d tokens were tested", others, carried)
	}
	wantUnchanged(t, s, before)
	byBody(s, raw).Want(t, http.StatusOK, "")
}

// A session from a legacy token counts toward the maximum of fifty, so the oldest session is
// revoked.
func TestLegacySessionCountsTowardMaximum(t *testing.T) {
	s := startLegacy(t, servertest.SQLite)
	u := newImported(t, s)
	oldest := s.Login(u, accounts.Hybrid)
	now := time.Now().Unix()
	for i := range 50 {
		byBody(s, tokentest.LegacySimple(djangoSecret, "refresh", u.ID, now-60, now+3600, fmt.Sprint(i))).Want(t, http.StatusOK, "")
	}
	oldest.Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	if n := s.Database.Count(t, "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL"); n != 50 {
		t.Errorf("got %d live sessions, want 50", n)
	}
}

// The record of a used token is kept until a day after the token's expiry.
func TestUsedLegacyTokensAreDeletedADayAfterExpiry(t *testing.T) {
	s := startLegacy(t, servertest.SQLite)
	raw := simpleToken(newImported(t, s)) // expires in an hour
	byBody(s, raw).Want(t, http.StatusOK, "")
	for _, step := range []struct {
		by   time.Duration
		left int64
	}{{0, 1}, {time.Hour, 1}, {23*time.Hour + 59*time.Minute, 1}, {2 * time.Minute, 0}} {
		s.Clock.Advance(step.by)
		if _, err := s.Service.CleanUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); n != step.left {
			t.Errorf("got %d rows after another %v, want %d", n, step.by, step.left)
		}
		if r := byBody(s, raw); r.Code() != "refresh_invalid" {
			t.Errorf("%d %s", r.Status, r.Code())
		}
	}
}

func TestLegacyExchangesAreCountedInMetrics(t *testing.T) {
	s := startLegacy(t, servertest.SQLite)
	raw := simpleToken(newImported(t, s))
	for range 2 {
		byBody(s, raw, attempt(someAttempt)).Want(t, http.StatusOK, "")
	}
	byBody(s, raw)
	found := metrics(t, s, djangoSecret)
	for _, outcome := range []string{"exchanged", "repeated", "refused"} {
		if n := found[`accounts_legacy_exchanges_total{outcome="`+outcome+`"}`]; n != 1 {
			t.Errorf("%s: %v", outcome, n)
		}
	}
}
