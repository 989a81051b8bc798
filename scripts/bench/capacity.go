package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/token"
)

// The capacity report measures the space that a session and a user need, the refreshes per second
// at this machine's price of a commit, and whether a request costs more when there are more
// sessions. Each size has its own database and server. The sizes take turns, so that other load on
// the machine affects all of them alike.

const (
	sqlite        = "sqlite"
	devices       = 4    // sessions per user
	rowsAtOnce    = 2000 // rows per INSERT statement
	sampled       = 1000 // sessions that send requests, spread over the whole table
	mostMore      = 1.3  // bound on the cost of a request at the largest size, relative to the smallest size
	expiredShare  = 10   // one in this many sessions of the largest size is expired for the clean-up
	bytesOfText   = 120  // length of a typical user agent
	commitsToTime = 300
)

// site is a database of one size with its server.
type site struct {
	*prepared
	size             int
	createdAt        time.Time // creation time of the first session; each of the others is a millisecond later
	issuer           *token.Issuer
	sessions         []*session
	perUser, perSess float64 // bytes, including all indexes
	fillTime         time.Duration
	turns            map[string][]turn
	next             int
}

func capacity(ctx context.Context, s settings) (err error) {
	var sites []*site
	defer func() {
		for _, each := range sites {
			err = errors.Join(err, each.close())
		}
	}()
	for text := range strings.SplitSeq(s.sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < sampled {
			return fmt.Errorf("-capacity takes sizes from %d on, separated by commas", sampled)
		}
		p, err := prepare(ctx, s)
		if err != nil {
			return err
		}
		each := &site{prepared: p, size: size, turns: map[string][]turn{}}
		sites = append(sites, each)
		if err := each.open(ctx); err != nil {
			return fmt.Errorf("%d sessions: %w", size, err)
		}
		s.binary = p.binary
	}
	first, largest := sites[0], sites[len(sites)-1]
	fmt.Print(capacityEnvironment(ctx, s, first))
	commit, err := commitCost(ctx, first.db)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		for i := range sites {
			each := sites[(i+round)%len(sites)]
			if err := each.measure(ctx, s.round); err != nil {
				return fmt.Errorf("%d sessions: %w", each.size, err)
			}
		}
	}
	busy, err := largest.measureThroughput(ctx, s.round)
	if err != nil {
		return err
	}
	cleaned, err := largest.cleanUp(ctx)
	if err != nil {
		return err
	}
	return reportCapacity(os.Stdout, sites, commit, busy, cleaned)
}

func capacityEnvironment(ctx context.Context, s settings, p *site) string {
	if s.engine != sqlite {
		return p.environment(ctx)
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("SQLite, synchronous=FULL; load average %.14s\n", load)
}

// open fills the database, starts the server, and refreshes each sampled session once.
func (s *site) open(ctx context.Context) error {
	began := time.Now()
	if err := s.fill(ctx); err != nil {
		return err
	}
	s.fillTime = time.Since(began)
	ring, err := token.NewKeyRing([]token.Secret{s.secret})
	if err != nil {
		return err
	}
	s.issuer = token.NewIssuer(ring, s.publicURL(), tokenLife)
	for i := range sampled {
		each, err := s.session(i * (s.size / sampled))
		if err != nil {
			return err
		}
		s.sessions = append(s.sessions, each)
	}
	if s.product, err = s.startProduct(ctx); err != nil {
		return err
	}
	c, err := dial(ctx, s.productAddr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for _, each := range s.sessions {
		step := each.refreshSteps()
		header, body, err := c.exchange(step.request())
		if err != nil {
			return err
		}
		if err := step.accept(header, body); err != nil {
			return err
		}
	}
	return nil
}

// fill inserts users and sessions, thousands per statement, and measures the space that they need.
func (s *site) fill(ctx context.Context) error {
	s.createdAt = time.Now().UTC().Truncate(time.Second).Add(-time.Duration(s.size)*time.Millisecond - time.Minute)
	var hash string
	var epoch int64
	if err := s.db.QueryRowContext(ctx, "SELECT password, session_epoch FROM users WHERE username = 'first'").Scan(&hash, &epoch); err != nil {
		return err
	}
	empty, err := s.measureSpace(ctx)
	if err != nil {
		return err
	}
	users := s.size / devices
	err = s.insert(ctx, "users", "id, username, username_norm, email, email_norm, first_name, last_name, password, is_active, is_staff, is_superuser, session_epoch, date_joined", users,
		func(i int) []any {
			name := fmt.Sprintf("user.%07d", i)
			return []any{firstUser + i, name, name, name + "@example.com", name + "@example.com", "Ada", "Lovelace", hash, true, false, false, epoch, s.createdAt}
		})
	if err != nil {
		return err
	}
	withUsers, err := s.measureSpace(ctx)
	if err != nil {
		return err
	}
	agent := strings.Repeat("Mozilla/5.0 ", bytesOfText/12)
	err = s.insert(ctx, "sessions", "id, user_id, epoch, generation, rotated_at, created_at, idle_expires_at, expires_at, revoke_reason, transport, user_agent, ip, last_used_at", s.size,
		func(i int) []any {
			g := s.grant(i)
			return []any{g.Session[:], g.Subject, epoch, 0, g.RotatedAt, g.RotatedAt, g.IdleExpiresAt, g.ExpiresAt, "", string(g.Transport), agent, "203.0.113.77", g.RotatedAt}
		})
	if err != nil {
		return err
	}
	full, err := s.measureSpace(ctx)
	s.perUser, s.perSess = float64(withUsers-empty)/float64(users), float64(full-withUsers)/float64(s.size)
	return err
}

const firstUser = 1_000_000

// grant returns the claims of the n-th session. Its id begins with its creation time, like the ids
// of real sessions; consecutive sessions belong to different users.
func (s *site) grant(n int) token.Grant {
	at := s.createdAt.Add(time.Duration(n) * time.Millisecond)
	id := uuid.UUID{6: 0x70, 8: 0x80}
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	binary.BigEndian.PutUint32(id[10:], uint32(n))
	return token.Grant{
		Subject: int64(firstUser + n%(s.size/devices)), Session: id, Transport: token.Body,
		RotatedAt: at, IdleExpiresAt: s.createdAt.Truncate(time.Second).Add(24 * time.Hour), ExpiresAt: s.createdAt.Truncate(time.Second).Add(72 * time.Hour),
	}
}

// session returns a client of the n-th session, with its refresh token.
func (s *site) session(n int) (*session, error) {
	g := s.grant(n)
	raw, err := s.issuer.Refresh(g)
	return &session{transport: string(token.Body), id: g.Session, user: g.Subject, refresh: raw}, err
}

// insert commits each statement separately on a MySQL server. On SQLite, which has one client here,
// it uses one transaction and smaller statements, because the driver is slow with thousands of
// values.
func (s *site) insert(ctx context.Context, table, columns string, n int, row func(i int) []any) error {
	one, most := "(?"+strings.Repeat(",?", strings.Count(columns, ","))+")", rowsAtOnce
	if s.admin == nil {
		most = 50
		if _, err := s.db.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
	}
	for i := 0; i < n; i += most {
		rows := min(most, n-i)
		var values []any
		for j := range rows {
			values = append(values, row(i+j)...)
		}
		query := "INSERT INTO " + table + " (" + columns + ") VALUES " + one + strings.Repeat(","+one, rows-1) //nolint:gosec // constant names of this program
		if _, err := s.db.ExecContext(ctx, query, values...); err != nil {
			return err
		}
	}
	if s.admin == nil {
		_, err := s.db.ExecContext(ctx, "COMMIT")
		return err
	}
	return nil
}

// measureSpace returns the bytes that the tables of users and sessions need, including indexes.
func (s *site) measureSpace(ctx context.Context) (n int64, err error) {
	if s.admin == nil {
		err = s.db.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&n)
		return n, err
	}
	if _, err := s.db.ExecContext(ctx, "ANALYZE TABLE users, sessions"); err != nil {
		return 0, err
	}
	err = s.db.QueryRowContext(ctx, `SELECT SUM(data_length + index_length) FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_name IN ('users', 'sessions')`).Scan(&n)
	return n, err
}

// commitCost returns the median time to change and commit one row on one connection.
func commitCost(ctx context.Context, db *sql.DB) (time.Duration, error) {
	for _, query := range []string{"CREATE TABLE commits (id INTEGER NOT NULL PRIMARY KEY, n INTEGER NOT NULL)", "INSERT INTO commits VALUES (1, 0)"} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return 0, err
		}
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	var took []time.Duration
	for range commitsToTime {
		began := time.Now()
		if _, err := conn.ExecContext(ctx, "UPDATE commits SET n = n + 1 WHERE id = 1"); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// inTurn returns a client that uses the sessions in turn, one request each.
func (s *site) inTurn(ask func(*session) step) step {
	var now step
	return step{
		request: func() []byte {
			now = ask(s.sessions[s.next%len(s.sessions)])
			s.next++
			return now.request()
		},
		accept: func(header http.Header, body []byte) error {
			if now.accept == nil {
				return nil
			}
			return now.accept(header, body)
		},
	}
}

func profileSteps(s *session) step {
	return repeat(get("/accounts/profile", "Authorization: Bearer "+s.access))
}

// measure takes a turn of each kind with one client, so that requests do not wait for each other.
func (s *site) measure(ctx context.Context, d time.Duration) error {
	for kind, ask := range map[string]func(*session) step{"profile": profileSteps, "refresh": (*session).refreshSteps} {
		t, err := drive(ctx, s.product, s.database, []step{s.inTurn(ask)}, d)
		if err != nil {
			return err
		}
		s.turns[kind] = append(s.turns[kind], t)
	}
	return nil
}

// measureThroughput measures the maximum rate of refreshes.
func (s *site) measureThroughput(ctx context.Context, d time.Duration) (turn, error) {
	var steps []step
	for i := range refreshers {
		steps = append(steps, s.sessions[i].refreshSteps())
	}
	return drive(ctx, s.product, s.database, steps, d)
}

// cleaned is the result of a clean-up of many sessions.
type cleaned struct {
	expired, gone, left int64
	took                time.Duration
	inParallel          turn // refreshes during the clean-up
}

// cleanUp expires a tenth of the sessions, long enough ago that they are no longer kept. It removes
// them with the product's own clean-up and measures refreshes at the same time. The sampled
// sessions are not expired.
func (s *site) cleanUp(ctx context.Context) (c cleaned, err error) {
	const long = 31 * 24 * time.Hour
	for n := 1; n < s.size; n += expiredShare * rowsAtOnce {
		last := min(n+rowsAtOnce, s.size-1)
		from, to := s.grant(n), s.grant(last)
		result, err := s.db.ExecContext(ctx, "UPDATE sessions SET expires_at = ? WHERE id >= ? AND id < ? AND generation = 0",
			s.createdAt.Truncate(time.Second).Add(-long), from.Session[:], to.Session[:])
		if err != nil {
			return c, err
		}
		changed, err := result.RowsAffected()
		if err != nil {
			return c, err
		}
		c.expired += changed
	}
	store, err := models.Open(ctx, s.storeOptions())
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	during, end := context.WithCancel(ctx)
	defer end()
	parallel, failed := make(chan turn, 1), make(chan error, 1)
	go func() {
		rounds := s.inTurn((*session).refreshSteps)
		ask := rounds.request
		rounds.request = func() []byte { // the turn ends with the clean-up
			if during.Err() != nil {
				return nil
			}
			return ask()
		}
		t, err := drive(ctx, s.product, s.database, []step{rounds}, time.Hour)
		parallel <- t
		failed <- err
	}()
	began := time.Now()
	c.gone, err = accounts.New(accounts.Options{Store: store, Now: time.Now, Settings: accounts.Settings{EventRetention: long}}).CleanUp(ctx)
	c.took = time.Since(began)
	end()
	c.inParallel = <-parallel
	return c, errors.Join(err, <-failed, s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sessions").Scan(&c.left))
}

func (s *site) storeOptions() models.Options {
	o := models.Options{MaxConns: 4, Log: slog.New(slog.DiscardHandler)}
	if s.admin == nil {
		o.SQLite = filepath.Join(s.dir, "accounts.db")
		return o
	}
	base, _ := databaseURL() // parsed before
	pass, _ := base.User.Password()
	o.MySQL = &models.MySQL{Addr: base.Host, User: base.User.Username(), Password: pass, Name: s.name, TLS: "false"}
	return o
}
