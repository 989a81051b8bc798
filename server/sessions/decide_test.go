package sessions

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/token"
)

var verdictNames = map[verdict]string{
	expired: "1 expired", revoked: "2 revoked", rotate: "3 rotate", sameTokens: "4 same", successor: "5 successor", rotatedByThisRequest: "5 applied",
	reuse: "6 reuse", regression: "7 regression", undecidable: "8 undecidable", misdirected: "0b misdirected",
}

func (v verdict) String() string { return verdictNames[v] }

const (
	micro   = time.Microsecond
	current = int64(7) // the row's generation
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mine   = []byte("0123456789abcdef")
	theirs = []byte("fedcba9876543210")
)

// decideInput is one input of the decision table. The zero value is a current hybrid token of age 0
// in a live session.
type decideInput struct {
	behind     int64         // generations
	age        time.Duration // of the current generation
	attempt    []byte        // presented
	rotation   []byte        // of the row
	wrote      []time.Duration
	credential func(*Credential)
	row        func(*models.SessionWithUser)
}

func (j decideInput) ask(p Policy) verdict {
	l := models.SessionWithUser{
		Session: models.Session{
			ID: uuid.New(), UserID: 1, Epoch: 5, Generation: current, RotatedAt: noon.Add(-j.age), Transport: string(token.Hybrid),
			IdleExpiresAt: noon.Add(time.Hour), ExpiresAt: noon.Add(2 * time.Hour), Attempt: j.rotation,
		},
		Profile: models.Profile{User: models.User{ID: 1, SessionEpoch: 5, IsActive: true}},
	}
	c := Credential{Location: RefreshCookie, Subject: 1, Session: l.ID, Generation: current - j.behind, Transport: token.Hybrid, ExpiresAt: noon.Add(time.Hour), SessionExpiresAt: l.ExpiresAt}
	if j.credential != nil {
		j.credential(&c)
	}
	if j.row != nil {
		j.row(&l)
	}
	var wrote []time.Time
	for _, age := range j.wrote {
		wrote = append(wrote, noon.Add(-age))
	}
	return p.decide(c, j.attempt, l, noon, wrote)
}

func profile(w, m time.Duration) Policy { return Policy{RotationInterval: w, Margin: m} }

type row struct {
	name string
	decideInput
	want verdict
}

func walk(t *testing.T, p Policy, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if got := r.ask(p); got != r.want {
				t.Errorf("%v, want %v", got, r.want)
			}
		})
	}
}

// The ages at which the verdict changes, for the default interval and for a short one.
func TestDecideByAgeOfToken(t *testing.T) {
	for _, wm := range [][2]time.Duration{{30 * time.Second, 5 * time.Second}, {2 * time.Second, 400 * time.Millisecond}, {60 * time.Second, 5 * time.Second}} {
		w, m := wm[0], wm[1]
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			walk(t, profile(w, m), []row{
				{"current, born now", decideInput{}, sameTokens},
				{"current, born in the future", decideInput{age: -time.Hour}, sameTokens},
				{"current, at M", decideInput{age: m}, sameTokens},
				{"current, at W", decideInput{age: w}, sameTokens},
				{"current, just under W+M", decideInput{age: w + m - micro}, sameTokens},
				{"current, at W+M", decideInput{age: w + m}, rotate},
				{"current, just over W+M", decideInput{age: w + m + micro}, rotate},
				{"current, long ago", decideInput{age: 24 * time.Hour}, rotate},

				{"previous, just under -M", decideInput{behind: 1, age: -m - micro}, undecidable},
				{"previous, at -M", decideInput{behind: 1, age: -m}, successor},
				{"previous, just over -M", decideInput{behind: 1, age: -m + micro}, successor},
				{"previous, superseded now", decideInput{behind: 1}, successor},
				{"previous, just under W", decideInput{behind: 1, age: w - micro}, successor},
				{"previous, at W", decideInput{behind: 1, age: w}, successor},
				{"previous, just over W", decideInput{behind: 1, age: w + micro}, reuse},
				{"previous, at W+M", decideInput{behind: 1, age: w + m}, reuse},

				{"two behind, superseded now", decideInput{behind: 2}, reuse},
				{"two behind, just over W", decideInput{behind: 2, age: w + micro}, reuse},
				{"two behind, at -M", decideInput{behind: 2, age: -m}, reuse},
				{"two behind, just under -M", decideInput{behind: 2, age: -m - micro}, undecidable},
				{"the first of all", decideInput{behind: current, age: m}, reuse},

				{"one ahead", decideInput{behind: -1, age: w}, regression},
				{"one ahead, born now", decideInput{behind: -1}, regression},
				{"far ahead", decideInput{behind: -1000, age: -time.Hour}, regression},
			})
		})
	}
}

// The attempt permits row 5 after W for the client that made the rotation, and for no other.
func TestDecideAcceptsAttemptAfterGracePeriod(t *testing.T) {
	w, m := 30*time.Second, 5*time.Second
	walk(t, profile(w, m), []row{
		{"the rotation's, just over W", decideInput{behind: 1, age: w + micro, attempt: mine, rotation: mine}, successor},
		{"the rotation's, days later", decideInput{behind: 1, age: 72 * time.Hour, attempt: mine, rotation: mine}, successor},
		{"the rotation's, under -M", decideInput{behind: 1, age: -m - micro, attempt: mine, rotation: mine}, successor},
		{"another one", decideInput{behind: 1, age: w + micro, attempt: theirs, rotation: mine}, reuse},
		{"another one, within W", decideInput{behind: 1, age: w, attempt: theirs, rotation: mine}, successor},
		{"its beginning", decideInput{behind: 1, age: w + micro, attempt: mine[:8], rotation: mine}, reuse},
		{"none", decideInput{behind: 1, age: w + micro, rotation: mine}, reuse},
		{"the rotation had none", decideInput{behind: 1, age: w + micro, attempt: mine}, reuse},
		{"neither has one", decideInput{behind: 1, age: w + micro}, reuse},
		{"both empty", decideInput{behind: 1, age: w + micro, attempt: []byte{}, rotation: []byte{}}, reuse},
		{"the rotation's, two behind", decideInput{behind: 2, age: w, attempt: mine, rotation: mine}, reuse},
		{"with the current token", decideInput{age: w + m, attempt: mine, rotation: mine}, rotate},
	})
}

// With W = 0 a token has one use, without grace, margin or attempt.
func TestDecideAcceptsTokenOnceInStrictProfile(t *testing.T) {
	walk(t, profile(0, 0), []row{
		{"current, born now", decideInput{}, rotate},
		{"current, a tick old", decideInput{age: micro}, rotate},
		{"current, born in the future", decideInput{age: -time.Minute}, rotate},
		{"previous, superseded now", decideInput{behind: 1}, reuse},
		{"previous, by a slow clock", decideInput{behind: 1, age: -time.Minute}, reuse},
		{"previous, with its attempt", decideInput{behind: 1, attempt: mine, rotation: mine}, reuse},
		{"two behind, by a slow clock", decideInput{behind: 2, age: -time.Minute}, reuse},
		{"one ahead", decideInput{behind: -1}, regression},
		{"our own rotation", decideInput{behind: 1, wrote: []time.Duration{0}}, rotatedByThisRequest},
		{"the first of our two", decideInput{behind: 1, age: time.Second, wrote: []time.Duration{time.Second, 0}}, rotatedByThisRequest},
		{"a rotation by another caller", decideInput{behind: 1, age: micro, wrote: []time.Duration{0}}, reuse},
	})
	if p := profile(0, 0); p.attemptHash("q83vEjRWeJCrze8SNFZ4kA") != nil {
		t.Error("the strict profile stored an attempt")
	}
}

// A rotation by this process whose answer was lost is recognized by the time that it wrote.
func TestDecideRecognizesOwnRotation(t *testing.T) {
	w, m := 30*time.Second, 5*time.Second
	wrote := func(ages ...time.Duration) []time.Duration { return ages }
	walk(t, profile(w, m), []row{
		{"applied", decideInput{behind: 1, age: 40 * time.Millisecond, wrote: wrote(40 * time.Millisecond)}, rotatedByThisRequest},
		{"applied, found out after W", decideInput{behind: 1, age: w + m, wrote: wrote(w + m)}, rotatedByThisRequest},
		{"the first of two", decideInput{behind: 1, age: time.Second, wrote: wrote(time.Second, 0)}, rotatedByThisRequest},
		{"not applied", decideInput{age: w + m, wrote: wrote(40 * time.Millisecond)}, rotate},
		{"another caller was faster by a tick", decideInput{behind: 1, age: micro, wrote: wrote(0)}, successor},
		{"a rotation by another caller, two generations on", decideInput{behind: 2, age: 0, wrote: wrote(0)}, reuse},
		{"nothing written, row of the zero time", decideInput{behind: 1, row: func(l *models.SessionWithUser) { l.RotatedAt = time.Time{} }}, reuse},
		{"applied, and revoked since", decideInput{behind: 1, wrote: wrote(0), row: markRevoked}, revoked},
	})
}

func markRevoked(l *models.SessionWithUser) { at := noon.Add(-time.Second); l.RevokedAt = &at }

// Rows 0b, 1 and 2 apply in this order, and all before any grace.
func TestDecideAppliesEarlyRowsBeforeGrace(t *testing.T) {
	w, m := 30*time.Second, 5*time.Second
	idleOver := func(l *models.SessionWithUser) { l.IdleExpiresAt = noon }
	allOver := func(l *models.SessionWithUser) { l.IdleExpiresAt, l.ExpiresAt = noon, noon }
	staleEpoch := func(l *models.SessionWithUser) { l.User.SessionEpoch++ }
	inactive := func(l *models.SessionWithUser) { l.User.IsActive = false }
	both := func(fs ...func(*models.SessionWithUser)) func(*models.SessionWithUser) {
		return func(l *models.SessionWithUser) {
			for _, f := range fs {
				f(l)
			}
		}
	}
	markExpired := func(c *Credential) { c.ExpiresAt = noon }
	stranger := func(c *Credential) { c.Subject = 2 }
	ends := map[string]func(*models.SessionWithUser){"revoked": markRevoked, "stale epoch": staleEpoch, "inactive": inactive}

	for name, p := range map[string]Policy{"W=30s": profile(w, m), "W=2s": profile(2*time.Second, 400*time.Millisecond), "strict": profile(0, 0)} {
		t.Run(name, func(t *testing.T) {
			for end, change := range ends {
				walk(t, p, []row{
					{end + ", current", decideInput{row: change}, revoked},
					{end + ", current to be rotated", decideInput{age: w + m, row: change}, revoked},
					{end + ", previous in its grace", decideInput{behind: 1, row: change}, revoked},
					{end + ", previous with its attempt", decideInput{behind: 1, age: w + m, attempt: mine, rotation: mine, row: change}, revoked},
					{end + ", reused", decideInput{behind: 2, age: w + m, row: change}, revoked},
					{end + ", ahead", decideInput{behind: -1, row: change}, revoked},
					{end + ", and over", decideInput{row: both(change, idleOver)}, expired},
					{end + ", of another user", decideInput{credential: stranger, row: change}, misdirected},
				})
			}
			walk(t, p, []row{
				{"exp passed", decideInput{credential: markExpired}, expired},
				{"exp passed, previous", decideInput{behind: 1, credential: markExpired}, expired},
				{"exp passed, reused", decideInput{behind: 2, credential: markExpired}, expired},
				{"exp passed, of another user", decideInput{credential: func(c *Credential) { markExpired(c); stranger(c) }}, misdirected},
				{"idle end now", decideInput{row: idleOver}, expired},
				{"idle end now, previous", decideInput{behind: 1, row: idleOver}, expired},
				{"idle end now, reused", decideInput{behind: 2, age: w + m, row: idleOver}, expired},
				{"idle end now, ahead", decideInput{behind: -1, row: idleOver}, expired},
				{"absolute end now", decideInput{row: allOver}, expired},
				{"absolute end alone", decideInput{row: func(l *models.SessionWithUser) { l.ExpiresAt = noon }}, expired},
				{"idle end in a tick", decideInput{behind: -1, row: func(l *models.SessionWithUser) { l.IdleExpiresAt = noon.Add(micro) }}, regression},
				{"of another user, reused", decideInput{behind: 2, age: w + m, credential: stranger}, misdirected},
				{"another transport than the row's", decideInput{credential: func(c *Credential) { c.Transport = token.Cookies }}, misdirected},
			})
		})
	}
}

// Every credential is combined with every transport: only the transport's own location is accepted.
func TestDecideAcceptsLocationOfTransportOnly(t *testing.T) {
	own := map[token.Transport]TokenLocation{token.Hybrid: RefreshCookie, token.Cookies: RefreshCookie, token.ServerHeld: AccessCookie, token.Body: RequestBody}
	for transport, right := range own {
		for _, location := range []TokenLocation{Bearer, AccessCookie, RefreshCookie, RequestBody} {
			for _, claimed := range []token.Transport{"", token.Hybrid, token.Cookies, token.Body} {
				want := misdirected
				if location == right && (claimed == transport || claimed == "") {
					want = sameTokens
				}
				got := decideInput{
					credential: func(c *Credential) { c.Location, c.Transport = location, claimed },
					row:        func(l *models.SessionWithUser) { l.Transport = string(transport) },
				}.ask(profile(30*time.Second, 5*time.Second))
				if got != want {
					t.Errorf("a token of %q by %s for a session of %s: %v, want %v", claimed, location, transport, got, want)
				}
			}
		}
	}
}

// The refresh credential of server_held is valid beyond its own exp: the idle end of the row
// counts.
func TestDecideUsesIdleEndForServerHeld(t *testing.T) {
	w, m := 30*time.Second, 5*time.Second
	handle := func(c *Credential) { c.Location, c.Transport, c.ExpiresAt = AccessCookie, "", noon }
	held := func(changes ...func(*models.SessionWithUser)) func(*models.SessionWithUser) {
		return func(l *models.SessionWithUser) {
			l.Transport = string(token.ServerHeld)
			for _, change := range changes {
				change(l)
			}
		}
	}
	walk(t, profile(w, m), []row{
		{"expired, current", decideInput{age: w + m, credential: handle, row: held()}, rotate},
		{"expired, young", decideInput{credential: handle, row: held()}, sameTokens},
		{"expired, previous", decideInput{behind: 1, age: w, credential: handle, row: held()}, successor},
		{"expired, reused", decideInput{behind: 1, age: w + micro, credential: handle, row: held()}, reuse},
		{"idle end now", decideInput{credential: handle, row: held(func(l *models.SessionWithUser) { l.IdleExpiresAt = noon })}, expired},
		{"revoked", decideInput{behind: 1, credential: handle, row: held(markRevoked)}, revoked},
		{"as bearer", decideInput{credential: func(c *Credential) { handle(c); c.Location = Bearer }, row: held()}, misdirected},
		{"an access cookie of cookies", decideInput{credential: handle, row: func(l *models.SessionWithUser) { l.Transport = string(token.Cookies) }}, misdirected},
	})
}

// The model in scripts/model, which is checked exhaustively, has the same decisions as this code.
// Each line of its table has the profile, revoked or not, the generations behind, the age in
// seconds, the attempts of the request and of the rotation, and the row that answers.
func TestDecideAgreesWithModel(t *testing.T) {
	profiles := map[string]Policy{"grace": profile(6*time.Second, 2*time.Second), "strict": profile(0, 0)}
	attempts := [][]byte{nil, mine, theirs}
	rows := map[int]verdict{2: revoked, 3: rotate, 4: sameTokens, 5: successor, 6: reuse, 8: undecidable}
	table, err := os.ReadFile("../../scripts/model/decisions.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	if len(lines) < 1000 {
		t.Errorf("the table of the model has only %d lines", len(lines))
	}
	for _, line := range lines {
		var name string
		var revoked, behind, age, presented, rotated, want int
		if _, err := fmt.Sscan(line, &name, &revoked, &behind, &age, &presented, &rotated, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		j := decideInput{behind: int64(behind), age: time.Duration(age) * time.Second, attempt: attempts[presented], rotation: attempts[rotated]}
		if revoked == 1 {
			j.row = func(l *models.SessionWithUser) { l.RevokedAt = &noon }
		}
		if name == "strict" { // the strict profile stores no attempt
			j.attempt, j.rotation = nil, nil
		}
		if got := j.ask(profiles[name]); got != rows[want] {
			t.Errorf("%s: got row %v", line, got)
		}
	}
}
