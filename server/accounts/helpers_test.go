package accounts_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest/mysqlproxy"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The default rotation interval and its margin.
const (
	interval = 30 * time.Second
	margin   = 5 * time.Second
)

var transports = []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld, token.Body}

const reused, revoked, expired = "refresh_reused", "session_revoked", "session_expired"

// site is one or more replicas on one database; requests alternate between them.
type site struct {
	t        *testing.T
	replicas []*servertest.Server
	db       *servertest.Database
	user     servertest.User
	mu       sync.Mutex
	turn     int
}

// eachSite runs a test on SQLite, on MySQL, and with two replicas on one MySQL.
func eachSite(t *testing.T, settings []string, f func(t *testing.T, s *site)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		t.Run("one", func(t *testing.T) { f(t, newSite(t, e, 1, settings...)) })
		if e == servertest.MySQL {
			t.Run("two", func(t *testing.T) { f(t, newSite(t, e, 2, settings...)) })
		}
	})
}

// eachTransport runs a test on every site and in every transport.
func eachTransport(t *testing.T, settings []string, f func(t *testing.T, s *site, tr token.Transport)) {
	t.Helper()
	eachSite(t, settings, func(t *testing.T, s *site) {
		for _, tr := range transports {
			t.Run(string(tr), func(t *testing.T) { f(t, s.in(t), tr) })
		}
	})
}

func newSite(t *testing.T, e servertest.Engine, replicas int, settings ...string) *site {
	t.Helper()
	s := &site{t: t, db: servertest.NewDatabase(t, e)}
	for range replicas {
		s.add(servertest.Options{Settings: settings})
	}
	s.user = s.replicas[0].NewUser()
	return s
}

// add starts a replica with the same database and the same public URL.
func (s *site) add(o servertest.Options) *servertest.Server {
	s.t.Helper()
	o.Engine = s.db.Engine
	if o.Database == nil {
		o.Database = s.db
	}
	if len(s.replicas) > 0 {
		o.Settings = append([]string{"ACCOUNTS_PUBLIC_URL=" + s.replicas[0].Config.PublicURL}, o.Settings...)
	}
	r := servertest.Start(s.t, o)
	s.replicas = append(s.replicas, r)
	return r
}

// in returns the same site for a subtest.
func (s *site) in(t *testing.T) *site {
	return &site{t: t, replicas: s.replicas, db: s.db, user: s.user}
}

// at returns a copy of the client that uses the next replica.
func (s *site) at(c *servertest.Client) *servertest.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	return c.Copy().At(s.replicas[s.turn%len(s.replicas)])
}

func (s *site) login(tr token.Transport) *servertest.Client {
	s.t.Helper()
	return s.replicas[0].Login(s.user, tr)
}

// next returns the client after a refresh that rotated.
func (s *site) next(c *servertest.Client, options ...servertest.Option) *servertest.Client {
	s.t.Helper()
	s.age(c, interval+margin)
	n := s.at(c)
	n.RefreshTokens(options...).Want(s.t, http.StatusOK, "")
	if held(n) == held(c) {
		s.t.Fatal("the refresh did not rotate the token")
	}
	return n
}

func id(c *servertest.Client) uuid.UUID { return uuid.MustParse(c.SessionID) }

// age makes the current generation of one session older.
func (s *site) age(c *servertest.Client, by time.Duration) {
	s.t.Helper()
	born := s.row(c).RotatedAt
	s.db.Exec(s.t, "UPDATE sessions SET rotated_at = ? WHERE id = ?", born.Add(-by), id(c))
}

func (s *site) row(c *servertest.Client) models.SessionWithUser {
	s.t.Helper()
	l, err := s.replicas[0].Store.Session(context.Background(), id(c))
	must(s.t, err)
	return l
}

func (s *site) events(c *servertest.Client, kind string) int64 {
	s.t.Helper()
	return s.db.Count(s.t, "SELECT COUNT(*) FROM events WHERE session_id = ? AND kind = ?", id(c), kind)
}

// refreshPatiently refreshes again after a 503, as the contract says: a busy machine may not decide
// a hundred refreshes in time.
func refreshPatiently(c *servertest.Client) *servertest.Response {
	for try := 0; ; try++ {
		r := c.RefreshTokens()
		if r.Status != http.StatusServiceUnavailable || try == 10 {
			return r
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// dead checks that the sessions of the clients are revoked for reading and for refresh.
func (s *site) dead(clients ...*servertest.Client) {
	s.t.Helper()
	for _, c := range clients {
		s.at(c).Profile().Want(s.t, http.StatusUnauthorized, revoked)
		s.at(c).RefreshTokens().Want(s.t, http.StatusUnauthorized, revoked)
	}
}

// held returns the refresh credential that a client has.
func held(c *servertest.Client) string {
	switch c.Transport {
	case token.Body:
		return c.Refresh
	case token.ServerHeld:
		return c.CookieValue("access")
	case token.Hybrid, token.Cookies:
	}
	return c.CookieValue("refreshtoken")
}

// handed returns all tokens of an answer in one text.
func handed(r *servertest.Response) string {
	all := []string{r.Text("access_token"), r.Text("refresh_token"), r.Text("csrf_token")}
	for _, c := range r.Cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "\n")
}

// unchanged checks that a call writes nothing.
func (s *site) unchanged(call func()) {
	s.t.Helper()
	before := s.db.Dump(s.t)
	call()
	if after := s.db.Dump(s.t); after != before {
		s.t.Errorf("rows changed from\n%s\nto\n%s", before, after)
	}
}

// input returns a refresh as the HTTP layer passes it on.
func (s *site) input(c *servertest.Client) accounts.RefreshInput {
	s.t.Helper()
	location := map[token.Transport]accounts.TokenLocation{token.Body: accounts.RequestBody, token.ServerHeld: accounts.AccessCookie}[c.Transport]
	if location == "" {
		location = accounts.RefreshCookie
	}
	credential, err := s.replicas[0].Service.Credential(location, held(c))
	must(s.t, err)
	return accounts.RefreshInput{Credential: credential, Received: s.replicas[0].Clock.Now()}
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

const secret = "correct horse battery"

// senderFunc is a sender whose result the test chooses.
type senderFunc func(ctx context.Context, m mail.Message) error

func (f senderFunc) Send(ctx context.Context, m mail.Message) error { return f(ctx, m) }

func register(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/register", map[string]any{"email": email, "password": secret}).Want(t, http.StatusAccepted, "")
}

func requestReset(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": email}).Want(t, http.StatusAccepted, "")
}

// settled waits until every mail has an outcome, and returns the number of mails by outcome.
func settled(t testing.TB, db *servertest.Database) map[string]int {
	t.Helper()
	eventually(t, "every mail has an outcome", func() bool { return db.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 0 })
	outcomes := map[string]int{}
	rows, err := db.SQL.QueryContext(t.Context(), "SELECT outcome FROM outbox WHERE email_norm <> 'nobody@example.com'")
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var outcome string
		must(t, rows.Scan(&outcome))
		outcomes[outcome]++
	}
	must(t, rows.Err())
	return outcomes
}

// eventually waits until a condition holds, usually the effect of a worker.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen in time: " + what)
		}
	}
}

type fault = mysqlproxy.Fault

const (
	cutBefore = mysqlproxy.CutBefore
	cutAfter  = mysqlproxy.CutAfter
	stall     = mysqlproxy.Stall
	holdBack  = mysqlproxy.HoldBack
)

// proxy is a proxy between a replica and its MySQL server.
type proxy struct {
	*mysqlproxy.Proxy
	t *testing.T
}

// throughProxy returns a proxy to the database, and the database as reached through it.
func throughProxy(t *testing.T, db *servertest.Database) (*proxy, *servertest.Database) {
	t.Helper()
	other := *db
	p, url, err := mysqlproxy.New(db.URL, true)
	must(t, err)
	t.Cleanup(p.Away)
	other.URL = url
	return &proxy{p, t}, &other
}

// away rejects new connections and closes the existing ones; back ends that.
func (p *proxy) away() { p.Away() }

func (p *proxy) back() { must(p.t, p.Back()) }

// silence accepts connections and answers nothing, also on existing ones.
func (p *proxy) silence() { p.Silence() }

// cut ends every connection.
func (p *proxy) cut() { p.Cut() }

// next applies the faults to the next statements that contain the text, one each.
func (p *proxy) next(match string, faults ...fault) { p.Next(match, faults...) }

// happened checks that n faults have been applied.
func (p *proxy) happened(n int) {
	p.t.Helper()
	if got := p.FaultCount(); got != n {
		p.t.Errorf("%d faults happened, want %d", got, n)
	}
}

// statements returns the statements since the last call, without their values.
func (p *proxy) statements() []string { return p.Statements() }
