package accounts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// RefreshInput is a refresh request. Received is when its headers had been read; Attempt is the
// header Refresh-Attempt.
type RefreshInput struct {
	Credential Credential
	Attempt    string
	Client     Client
	Received   time.Time
}

// verdict is a row of the decision table; see the package documentation.
type verdict int

const (
	tooLate     verdict = iota + 1 // row 1
	ended                          // row 2
	rotate                         // row 3: the next generation
	same                           // row 4: the tokens in force, which were presented
	successor                      // row 5: the tokens in force, which superseded the one presented
	applied                        // row 5 for a rotation by this request: the database's answer was lost
	reuse                          // row 6
	regression                     // row 7
	undecidable                    // row 8
	misdirected                    // row 0b
)

// decide implements the decision table: it returns the verdict on a refresh credential, given the
// row of its session and the time. It is a pure function. wrote are the times that this process
// wrote in UPDATEs whose outcome is unknown.
//
// Rows 1 and 2 precede any grace: a session that has ended gives no tokens, however recently its
// token was superseded. A missing row, which is row 2 even for an expired token, does not reach
// decide.
func (p Policy) decide(c Credential, attempt []byte, l models.Live, now time.Time, wrote []time.Time) verdict {
	transport := token.Transport(l.Transport)
	if c.Subject != l.UserID || locations[transport].refresh != c.Location || (c.Transport != "" && c.Transport != transport) {
		return misdirected
	}
	// The refresh credential of server_held is an access token. Its own exp has usually passed when
	// it is presented, and does not count.
	if c.Expired && transport != token.ServerHeld {
		return tooLate
	}
	if err := alive(l, now); err != nil {
		if errors.Is(err, problem.New(problem.SessionExpired)) {
			return tooLate
		}
		return ended
	}
	switch behind := l.Generation - c.Generation; {
	case behind < 0:
		return regression
	case behind == 0:
		return p.decideCurrent(now.Sub(l.RotatedAt))
	case behind == 1 && slices.ContainsFunc(wrote, l.RotatedAt.Equal):
		return applied
	default:
		return p.decideSuperseded(now.Sub(l.RotatedAt), behind == 1, sameAttempt(attempt, l.Attempt))
	}
}

func (p Policy) decideCurrent(age time.Duration) verdict {
	if p.RotationInterval == 0 || age >= p.RotationInterval+p.Margin {
		return rotate
	}
	return same
}

// decideSuperseded returns the verdict on a superseded token. Only the last one has a period of
// grace. An age below -M means that this replica's clock is behind that of the replica that
// rotated: that proves nothing, and is never reuse.
func (p Policy) decideSuperseded(age time.Duration, last, sameAttempt bool) verdict {
	switch {
	case p.RotationInterval == 0: // the strict profile: one use, no grace, no attempt
		return reuse
	case last && sameAttempt:
		return successor
	case age < -p.Margin:
		return undecidable
	case last && age <= p.RotationInterval:
		return successor
	}
	return reuse
}

func sameAttempt(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }

// attemptHash returns the hash of Refresh-Attempt that a row keeps, or nil without one. nil never
// matches. The strict profile ignores the header.
func (p Policy) attemptHash(attempt string) []byte {
	if attempt == "" || p.RotationInterval == 0 {
		return nil
	}
	sum := sha256.Sum256([]byte(attempt))
	return sum[:16]
}

const refreshTries = 6

// RefreshToken returns the tokens in force for a refresh credential.
//
// Usually that takes one statement: the UPDATE of row 3, which includes every condition of that
// row, so that nothing is read first. If it matches no row, the session's row is read and the table
// decides. The resulting write is again one statement, guarded by the values that were read. If
// anything fails, the answer is ServiceUnavailable and the same credential still works.
//
// A request that was held up is answered with ServiceUnavailable before anything else is checked,
// also with a legacy token.
//
// Errors: RefreshInvalid, SessionExpired, SessionRevoked, RefreshReused (the session has been
// revoked), ServiceUnavailable.
func (s *Service) RefreshToken(caller context.Context, in RefreshInput) (Tokens, error) {
	if s.isHeldUp(in) {
		return Tokens{}, problem.Unavailable(errHeldUp)
	}
	if in.Credential.Legacy != nil {
		return s.exchange(caller, in)
	}
	r := &refreshing{Service: s, in: in, caller: caller, attempt: s.policy.attemptHash(in.Attempt)}
	ctx, cancel := deadline(caller)
	defer cancel()
	ctx, leave, err := s.store.Enter(ctx)
	if err != nil {
		return Tokens{}, problem.Unavailable(err)
	}
	defer leave()
	if t, ok := r.rotateBlind(ctx); ok {
		return t, nil
	}
	for try := range refreshTries {
		t, done, err := r.decideAndAct(ctx)
		if done {
			return t, err
		}
		r.failed = err
		if !pause(ctx, try) {
			break
		}
	}
	return Tokens{}, problem.Unavailable(r.failed)
}

var errHeldUp = errors.New("the request was held up on its way")

// isHeldUp reports whether a request may be older than M, so that it gets no tokens and proves
// nothing. Either its headers were read more than M ago, or they were read within M after this
// process stood still: then the request may have waited in the kernel all that time, and its client
// may have repeated it at another replica.
//
// Call it before anything else and for every credential. Otherwise an attacker could try a stolen
// token without an alarm by sending the body late. The strict profile has no M: no request counts
// as held up.
func (s *Service) isHeldUp(in RefreshInput) bool {
	if s.policy.RotationInterval == 0 {
		return false
	}
	age := max(0, s.now().Sub(in.Received))
	return age > s.policy.Margin || s.heartbeat.stoodStill(readClocks(), age+s.policy.Margin)
}

// refreshing is one call of Refresh.
type refreshing struct {
	*Service
	in      RefreshInput
	caller  context.Context
	attempt []byte
	wrote   []time.Time // of UPDATEs whose outcome is unknown
	failed  error       // why there is no answer yet
}

// rotateBlind makes the UPDATE of row 3 from the token alone, which contains the transport and the
// absolute end of the session. The access token of server_held does not, so the row must be read
// first.
func (r *refreshing) rotateBlind(ctx context.Context) (Tokens, bool) {
	c := r.in.Credential
	if c.Transport == "" || c.Expired { // only this process's clock has been checked; the row decides
		return Tokens{}, false
	}
	t, ok, err := r.rotate(ctx, c.Transport, c.SessionExpiresAt)
	r.failed = err
	return t, ok
}

func (r *refreshing) rotate(ctx context.Context, transport token.Transport, expiresAt time.Time) (Tokens, bool, error) {
	c, now := r.in.Credential, r.now()
	rotation := models.Rotation{
		ID: models.ID(c.Session), UserID: c.Subject, Generation: c.Generation, Transport: string(transport), ExpiresAt: expiresAt,
		Now: now, IdleExpiresAt: r.policy.idleEnd(transport, now, expiresAt), Attempt: r.attempt,
		UserAgent: r.in.Client.UserAgent, IP: r.in.Client.IP, Tolerance: r.policy.tolerance(),
	}
	if r.policy.RotationInterval > 0 {
		rotation.RotatedBefore = now.Add(-r.policy.RotationInterval - r.policy.Margin)
	}
	ok, err := r.store.Rotate(ctx, rotation)
	if err != nil || ok {
		r.wrote = append(r.wrote, now) // with an error, it may still have been applied
	}
	if err != nil {
		return Tokens{}, false, err
	}
	if !ok {
		return Tokens{}, false, nil
	}
	r.observe("refresh_rotated")
	t, err := r.mint(token.Grant{
		Subject: c.Subject, Session: c.Session, Generation: c.Generation + 1, Transport: transport,
		RotatedAt: now, IdleExpiresAt: rotation.IdleExpiresAt, ExpiresAt: expiresAt,
	}, now, true)
	return t, err == nil, err
}

// decideAndAct reads the row, decides, and acts on the verdict. If done is false, another request
// was faster or the database did not answer: decide again.
func (r *refreshing) decideAndAct(ctx context.Context) (_ Tokens, done bool, _ error) {
	before := r.now()
	l, err := r.store.Session(ctx, models.ID(r.in.Credential.Session))
	if errors.Is(err, models.ErrNotFound) {
		return Tokens{}, true, problem.New(problem.SessionRevoked)
	}
	if err != nil {
		return Tokens{}, false, err
	}
	now := r.now()
	if r.clockOff(before, l.DBNow, now) { // the ages are wrong then, and so would be a 401 based on them
		return Tokens{}, false, models.ErrClock
	}
	switch r.policy.decide(r.in.Credential, r.attempt, l, now, r.wrote) {
	case misdirected:
		r.observe("refresh_misdirected")
		return Tokens{}, true, problem.New(problem.RefreshInvalid)
	case tooLate:
		r.observe("refresh_expired")
		return Tokens{}, true, problem.New(problem.SessionExpired)
	case ended:
		r.observe("refresh_revoked")
		return Tokens{}, true, problem.New(problem.SessionRevoked)
	case regression: // acknowledged commits were lost in a fail-over; the client did nothing wrong
		r.observe("state_regression")
		return Tokens{}, true, problem.New(problem.SessionExpired)
	case rotate:
		return r.outcome(r.rotate(ctx, token.Transport(l.Transport), l.ExpiresAt))
	case same:
		return r.outcome(r.current(ctx, l, now, false))
	case successor:
		return r.outcome(r.current(ctx, l, now, true))
	case applied:
		r.observe("refresh_rotated")
		t, err := r.mint(grantOf(l), now, true)
		return t, true, err
	case reuse:
		return r.revoke(ctx, l, now)
	case undecidable:
		r.observe("refresh_undecided")
	}
	return Tokens{}, false, models.ErrClock
}

func (*refreshing) outcome(t Tokens, ok bool, err error) (Tokens, bool, error) {
	return t, ok && err == nil, err
}

// current answers rows 4 and 5 with the tokens in force. Touch ensures that the session is still
// live at the time of the answer: on a cluster, its certification fails if the session was revoked
// at the same time.
func (r *refreshing) current(ctx context.Context, l models.Live, now time.Time, superseded bool) (Tokens, bool, error) {
	var graced *models.Event
	if superseded && r.in.Client.IP != l.IP && r.in.Client.UserAgent != l.UserAgent && r.mayRecord(ctx, l.User, gracedOfUser) {
		e := r.eventIn(l.ID, models.EventRefreshGraced, l.UserID, r.in.Client, "presented again from another address and another user agent")
		graced = &e
	}
	ok, err := r.store.Touch(ctx, l.ID, l.Generation, now, r.policy.tolerance(), graced)
	if err != nil || !ok {
		return Tokens{}, false, err
	}
	r.observe(map[bool]string{false: "refresh_same", true: "refresh_graced"}[superseded])
	t, err := r.mint(grantOf(l), now, superseded)
	return t, err == nil, err
}

// revoke implements row 6. A request that was held up, or whose caller has disconnected, proves no
// theft: an honest client may have given it up and repeated it. Such a request changes nothing.
func (r *refreshing) revoke(ctx context.Context, l models.Live, now time.Time) (Tokens, bool, error) {
	if err := r.caller.Err(); err != nil {
		return Tokens{}, true, problem.Unavailable(err)
	}
	if r.isHeldUp(r.in) {
		return Tokens{}, true, problem.Unavailable(errHeldUp)
	}
	age := "1 generation old"
	if behind := l.Generation - r.in.Credential.Generation; behind != 1 {
		age = fmt.Sprintf("%d generations old", behind)
	}
	event := r.eventIn(l.ID, models.EventRefreshReused, l.UserID, r.in.Client, "the refresh token was "+age)
	ok, err := r.store.RevokeReused(ctx, l.ID, l.Generation, now, r.policy.tolerance(), event)
	if err != nil || !ok {
		return Tokens{}, false, err
	}
	r.observe("refresh_reused")
	return Tokens{}, true, problem.New(problem.RefreshReused)
}

// pause waits before the next try, a little longer each time. It reports false if no time is left.
func pause(ctx context.Context, try int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(1+rand.IntN(10<<try)) * time.Millisecond): //nolint:gosec // spreads retries, hides nothing
		return true
	}
}
