package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// LegacyTokens is the hook for refresh tokens of the service that users were imported from. Each can
// be exchanged once for a session. The zero value accepts none.
type LegacyTokens struct {
	Verify func(raw string) (LegacyToken, error) // returns an authentic token, which may have expired
	Admits func(models.User) bool                // reports whether the tokens of a user are still valid
	Until  time.Time                             // none is accepted from then on
	Detail string                                // of the event of the login
}

// LegacyToken is an authentic refresh token of another service.
type LegacyToken = token.LegacyClaims

// legacyTransports are the transports of sessions that begin with a legacy token. The location of
// the token selects one of them.
var legacyTransports = []token.Transport{token.Hybrid, token.Body}

// ExchangeableCredential verifies a token as [Manager.Credential] does, and also accepts a legacy
// token, which [Manager.Refresh] exchanges for a session. Errors: AccessInvalid, RefreshInvalid.
func (m *Manager) ExchangeableCredential(location TokenLocation, raw string) (Credential, error) {
	c, err := m.Credential(location, raw)
	if err != nil {
		if legacy, ok := m.legacy.credential(location, raw); ok {
			return legacy, nil
		}
	}
	return c, err
}

// accepts reports whether a token is accepted at a time.
func (l LegacyTokens) accepts(t LegacyToken, now time.Time) bool {
	return t.ValidAt(now) && now.Before(l.Until)
}

// credential verifies a legacy token. It does not query the database, so it does not check the times
// of the token, as [Manager.Credential] does not.
func (l LegacyTokens) credential(location TokenLocation, raw string) (Credential, bool) {
	if l.Verify == nil {
		return Credential{}, false
	}
	for _, transport := range legacyTransports {
		if accepts(transport, forRefresh, location) {
			t, err := l.Verify(raw)
			return Credential{Location: location, Subject: t.Subject, Transport: transport, legacy: &t}, err == nil
		}
	}
	return Credential{}, false
}

// legacyExchange is the exchange of one legacy token.
type legacyExchange struct {
	*Manager
	in RefreshInput
	// id is that of the new session. It is the same in each try: if the answer to a COMMIT was lost,
	// the next try finds its own session.
	id uuid.UUID
}

// exchange begins a session for a legacy token, once. LegacyTokens.Admits decides which users may
// have one.
//
// A lost answer must not log a user out. A client that presents the token again, with the
// Refresh-Attempt with which the session was begun, gets the same tokens, as long as the session is
// live and has not been refreshed. In all other cases the answer is that for a forged token, so
// that a thief does not learn whether there was anything to steal.
//
// Errors: RefreshInvalid, ServiceUnavailable (the same token can still be used).
func (m *Manager) exchange(caller context.Context, in RefreshInput) (Tokens, error) {
	ctx, cancel := models.Detach(caller)
	defer cancel()
	x := legacyExchange{m, in, NewID()}
	t, err := untilDecided(ctx, x.beginOrRepeat)
	if errors.Is(err, problem.New(problem.RefreshInvalid)) {
		m.count(metrics.LegacyRefused)
	}
	return t, err
}

// beginOrRepeat begins the session, or returns its tokens again. Errors: RefreshInvalid; any other
// one leaves the exchange undecided.
func (x legacyExchange) beginOrRepeat(ctx context.Context) (Tokens, error) {
	u, err := x.store.UserByID(ctx, x.in.Credential.Subject)
	if err != nil {
		return Tokens{}, refusedOrUndecided(err)
	}
	if !x.legacy.Admits(u) {
		return Tokens{}, problem.New(problem.RefreshInvalid)
	}
	var s models.Session
	err = x.store.Tx(ctx, func(tx *models.Tx) (err error) {
		s, err = x.login(tx, u)
		return err
	})
	switch {
	case err == nil:
		x.count(metrics.LegacyExchanged)
		return x.FirstTokens(s)
	case errors.Is(err, models.ErrConflict):
		return x.repeat(ctx)
	}
	return Tokens{}, refusedOrUndecided(err) // ErrNotFound: the user is inactive, or all sessions were revoked
}

// authenticationUnknown is the time of authentication of a session that begins with a legacy token.
// The other service verified the password, at a time that is unknown here, so the session must not
// have recent authentication.
var authenticationUnknown = time.Unix(0, 0).UTC()

// login stores the token as used and starts the session that it is exchanged for. The token's
// identity is unique, so that of several requests with the same token one succeeds. Errors:
// RefreshInvalid, models.ErrConflict if the token has been used, models.ErrNotFound if the user was
// deactivated or all sessions were revoked since u was read.
func (x legacyExchange) login(tx *models.Tx, u models.User) (models.Session, error) {
	now, t := tx.Now(), x.in.Credential.legacy
	if err := recordLogin(tx, u); err != nil {
		return models.Session{}, err
	}
	err := tx.AddToken(models.OneTimeToken{
		ID: x.id, Purpose: models.PurposeLegacyRefresh, Hash: t.Identity[:], UserID: u.ID, CreatedAt: now, ExpiresAt: t.ExpiresAt, UsedAt: &now,
	})
	if err != nil {
		return models.Session{}, err
	}
	s, err := x.startSession(tx, NewSession{
		ID: x.id, User: u, Transport: x.in.Credential.Transport, Client: x.in.Client,
		Attempt: x.policy.attemptHash(x.in.Attempt), AuthenticatedAt: &authenticationUnknown,
	}, x.legacy.Detail)
	// Only now the clock has been compared with the database's. A replica with a wrong clock would
	// otherwise log the user out.
	if err == nil && !x.legacy.accepts(*t, now) {
		err = problem.New(problem.RefreshInvalid)
	}
	return s, err
}

// repeat handles a token that has been used: it returns the tokens of its session again if the
// request repeats the exchange. Errors: as those of beginOrRepeat.
func (x legacyExchange) repeat(ctx context.Context) (Tokens, error) {
	c := x.in.Credential
	used, err := x.store.Token(ctx, models.PurposeLegacyRefresh, c.legacy.Identity[:])
	if err != nil {
		return Tokens{}, refusedOrUndecided(err)
	}
	row, err := x.store.Session(ctx, used.ID)
	if err != nil { // ErrNotFound also for a token that the other service had revoked before the import
		return Tokens{}, refusedOrUndecided(err)
	}
	own := used.ID == x.id || isSameAttempt(x.policy.attemptHash(x.in.Attempt), row.Attempt)
	isValid := checkAlive(row, x.timeOf(row)) == nil && x.legacy.accepts(*c.legacy, x.timeOf(row))
	if !own || !isValid || !c.belongsTo(row.Session, forRefresh) || row.Generation != 0 {
		return Tokens{}, problem.New(problem.RefreshInvalid)
	}
	now := x.now()
	ok, err := x.store.Touch(ctx, row.ID, row.Generation, now, x.policy.Tolerance(), nil)
	if err != nil {
		return Tokens{}, err
	}
	if !ok {
		return Tokens{}, errOvertaken
	}
	x.count(metrics.LegacyRepeated)
	return x.mint(grantOf(row.Session), now, NewSessionTokens)
}

func refusedOrUndecided(err error) error {
	if errors.Is(err, models.ErrNotFound) {
		return problem.New(problem.RefreshInvalid)
	}
	return err
}
