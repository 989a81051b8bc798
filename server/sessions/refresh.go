package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// RefreshInput is a refresh request. Received is when its headers had been read; Attempt is the
// header Refresh-Attempt.
type RefreshInput struct {
	Credential Credential
	Attempt    string
	Client     audit.Client
	Received   time.Time
}

const refreshTries = 6

// Refresh returns the tokens in force for a refresh credential.
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
func (m *Manager) Refresh(caller context.Context, in RefreshInput) (Tokens, error) {
	if m.isHeldUp(in) {
		return Tokens{}, problem.Unavailable(errHeldUp)
	}
	if in.Credential.legacy != nil {
		return m.exchange(caller, in)
	}
	r := &refreshCall{Manager: m, in: in, caller: caller, attempt: m.policy.attemptHash(in.Attempt)}
	ctx, cancel := models.Detach(caller)
	defer cancel()
	ctx, leave, err := m.store.Enter(ctx)
	if err != nil {
		return Tokens{}, problem.Unavailable(err)
	}
	defer leave()
	if t, ok := r.rotateBlind(ctx); ok {
		return t, nil
	}
	t, err := untilDecided(ctx, r.decideAndAct)
	if errors.Is(err, errUndecided) {
		r.count(metrics.RefreshUndecided)
	}
	return t, err
}

// untilDecided calls try until it returns an answer: tokens or a *problem.Error. Any other error
// leaves the refresh undecided, because the database did not answer, the clocks differ or another
// request was faster. Errors: those of try, ServiceUnavailable.
func untilDecided(ctx context.Context, try func(context.Context) (Tokens, error)) (Tokens, error) {
	isUndecided := func(err error) bool {
		_, isAnswer := errors.AsType[*problem.Error](err)
		return !isAnswer
	}
	var t Tokens
	err := models.Retry(ctx, refreshTries, isUndecided, func() (err error) {
		t, err = try(ctx)
		return err
	})
	if err != nil && isUndecided(err) {
		err = problem.Unavailable(err)
	}
	return t, err
}

var (
	errHeldUp    = errors.New("the request was held up on its way")
	errOvertaken = errors.New("the session has changed since it was read, or the clocks differ")
	errUndecided = errors.New("the clocks of the servers differ too much to decide on the token")
)

// isHeldUp reports whether a request may be older than M, so that it gets no tokens and proves
// nothing. Either its headers were read more than M ago, or they were read within M after this
// process stood still: then the request may have waited in the kernel all that time, and its client
// may have repeated it at another replica.
//
// Call it before anything else and for every credential. Otherwise an attacker could try a stolen
// token without an alarm by sending the body late. The strict profile has no M: no request counts
// as held up.
func (m *Manager) isHeldUp(in RefreshInput) bool {
	if m.policy.RotationInterval == 0 {
		return false
	}
	age := max(0, m.now().Sub(in.Received))
	return age > m.policy.Margin || m.stoodStill(readClocks(), age+m.policy.Margin)
}

// refreshCall is one call of [Manager.Refresh] with a token of a session.
type refreshCall struct {
	*Manager
	in        RefreshInput
	caller    context.Context
	attempt   []byte
	rotations []time.Time // the RotatedAt of UPDATEs whose outcome is unknown
}

// rotateBlind makes the UPDATE of row 3 from the token alone, without reading the row. It reports
// whether that succeeded. A refresh token contains the transport and the absolute end of the
// session, which the UPDATE needs. The access token of server_held does not, so its row must be
// read first.
func (r *refreshCall) rotateBlind(ctx context.Context) (Tokens, bool) {
	c := r.in.Credential
	if c.Transport == "" || c.isExpired(r.now()) { // only this process's clock has been checked; the row decides
		return Tokens{}, false
	}
	t, err := r.rotate(ctx, c.Transport, c.SessionExpiresAt)
	return t, err == nil
}

func (r *refreshCall) rotate(ctx context.Context, transport token.Transport, expiresAt time.Time) (Tokens, error) {
	c, now := r.in.Credential, r.now()
	rotation := models.Rotation{
		ID: c.Session, UserID: c.Subject, Generation: c.Generation, Transport: string(transport), ExpiresAt: expiresAt,
		Now: now, IdleExpiresAt: r.policy.idleEnd(transport, now, expiresAt), Attempt: r.attempt,
		UserAgent: r.in.Client.UserAgent, IP: r.in.Client.IP, Tolerance: r.policy.Tolerance(),
	}
	if r.policy.RotationInterval > 0 {
		rotation.RotatedBefore = now.Add(-r.policy.RotationInterval - r.policy.Margin)
	}
	ok, err := r.store.Rotate(ctx, rotation)
	if err != nil || ok {
		r.rotations = append(r.rotations, now) // with an error, it may still have been applied
	}
	if err != nil {
		return Tokens{}, err
	}
	if !ok {
		return Tokens{}, errOvertaken
	}
	r.count(metrics.RefreshRotated)
	return r.mint(token.Grant{
		Subject: c.Subject, Session: c.Session, Generation: c.Generation + 1, Transport: transport,
		RotatedAt: now, IdleExpiresAt: rotation.IdleExpiresAt, ExpiresAt: expiresAt,
	}, now, NextTokens)
}

// decideAndAct reads the row, decides, and acts on the verdict. Its results are those of the
// argument of untilDecided.
func (r *refreshCall) decideAndAct(ctx context.Context) (Tokens, error) {
	start := r.startReading()
	row, err := r.store.Session(ctx, r.in.Credential.Session)
	if errors.Is(err, models.ErrNotFound) {
		return Tokens{}, problem.New(problem.SessionRevoked)
	}
	if err != nil {
		return Tokens{}, err
	}
	now := r.now()
	if r.isClockOff(start, row.DBNow, now) { // the ages are wrong then, and so would be a 401 based on them
		return Tokens{}, models.ErrClock
	}
	switch r.policy.decide(r.in.Credential, r.attempt, row, now, r.rotations) {
	case misdirected:
		r.count(metrics.RefreshMisdirected)
		return Tokens{}, problem.New(problem.RefreshInvalid)
	case expired:
		r.count(metrics.RefreshExpired)
		return Tokens{}, problem.New(problem.SessionExpired)
	case revoked:
		r.count(metrics.RefreshRevoked)
		return Tokens{}, problem.New(problem.SessionRevoked)
	case regression: // acknowledged commits were lost in a fail-over; the client did nothing wrong
		r.count(metrics.RefreshRegression)
		return Tokens{}, problem.New(problem.SessionExpired)
	case rotate:
		return r.rotate(ctx, transportOf(row.Session), row.ExpiresAt)
	case sameTokens:
		return r.answerCurrent(ctx, row, now, false)
	case successor:
		return r.answerCurrent(ctx, row, now, true)
	case rotatedByThisRequest:
		r.count(metrics.RefreshRotated)
		return r.mint(grantOf(row.Session), now, NextTokens)
	case reuse:
		return r.revokeReused(ctx, row, now)
	case undecidable:
	}
	return Tokens{}, errUndecided
}

// answerCurrent answers rows 4 and 5 with the tokens in force. Touch ensures that the session is
// still live at the time of the answer: on a cluster, the certification of its UPDATE fails if the
// session was revoked at the same time.
func (r *refreshCall) answerCurrent(ctx context.Context, row models.SessionWithUser, now time.Time, superseded bool) (Tokens, error) {
	var graced *models.Event
	if superseded && r.isElsewhere(row.Session) && r.mayLogGrace(ctx, row.User) {
		e := r.event(row.Session, models.EventRefreshGraced, "presented again from another address and another user agent").Row(now)
		graced = &e
	}
	ok, err := r.store.Touch(ctx, row.ID, row.Generation, now, r.policy.Tolerance(), graced)
	if err != nil {
		return Tokens{}, err
	}
	if !ok {
		return Tokens{}, errOvertaken
	}
	r.count(map[bool]metrics.Counter{false: metrics.RefreshSame, true: metrics.RefreshGraced}[superseded])
	return r.mint(grantOf(row.Session), now, map[bool]Newness{false: SameTokens, true: NextTokens}[superseded])
}

// isElsewhere reports whether the request has another address and another user agent than the last
// rotation of the session.
func (r *refreshCall) isElsewhere(s models.Session) bool {
	return r.in.Client.IP != s.IP && r.in.Client.UserAgent != s.UserAgent
}

func (r *refreshCall) event(s models.Session, kind models.EventKind, detail string) audit.Event {
	return audit.Event{Kind: kind, UserID: s.UserID, SessionID: s.ID, Client: r.in.Client, Detail: detail}
}

// revokeReused implements row 6. A request that was held up, or whose caller has disconnected,
// proves no theft: an honest client may have given it up and repeated it. Such a request changes
// nothing.
func (r *refreshCall) revokeReused(ctx context.Context, row models.SessionWithUser, now time.Time) (Tokens, error) {
	if err := r.caller.Err(); err != nil {
		return Tokens{}, problem.Unavailable(err)
	}
	if r.isHeldUp(r.in) {
		return Tokens{}, problem.Unavailable(errHeldUp)
	}
	age := "1 generation old"
	if behind := row.Generation - r.in.Credential.Generation; behind != 1 {
		age = fmt.Sprintf("%d generations old", behind)
	}
	event := r.event(row.Session, models.EventRefreshReused, "the refresh token was "+age).Row(now)
	ok, err := r.store.RevokeReused(ctx, row.ID, row.Generation, now, r.policy.Tolerance(), event)
	if err != nil {
		return Tokens{}, err
	}
	if !ok {
		return Tokens{}, errOvertaken
	}
	r.count(metrics.RefreshReused)
	return Tokens{}, problem.New(problem.RefreshReused)
}
