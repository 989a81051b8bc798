package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/token"
)

// LegacySecrets are those with which the service that users were imported from signed its refresh tokens, and the
// instant from which on no token of it is taken. The zero value takes none.
type LegacySecrets struct {
	Secrets []string
	Until   time.Time
}

// LegacyToken is an authentic refresh token of the old service.
type LegacyToken struct {
	Identity  token.LegacyIdentity
	ExpiresAt time.Time
}

// legacyTransports are those of the sessions that such a token is exchanged for, by the way it came.
var legacyTransports = map[Carrier]token.Transport{RefreshCookie: token.Hybrid, Body: token.Body}

// LegacyCredential verifies a refresh token of the old service, which Refresh then exchanges for a session. Nothing is
// asked of the database. RefreshInvalid is all that is said of what is wrong with it, also that none is taken any more.
func (s *Service) LegacyCredential(carrier Carrier, raw string) (Credential, error) {
	if legacyTransports[carrier] == "" || !s.now().Before(s.legacyUntil) {
		return Credential{}, refuse(RefreshInvalid)
	}
	c, err := s.legacy.Refresh(raw)
	if err != nil {
		return Credential{}, &Error{Code: RefreshInvalid, Cause: err}
	}
	return Credential{Carrier: carrier, Subject: c.Subject, Legacy: &LegacyToken{Identity: c.Identity, ExpiresAt: c.ExpiresAt}}, nil
}

// exchange begins a session for a refresh token of the old service, once. Which user may have one is in the WHERE of
// (Store).ExchangeToken.
//
// A lost answer must log nobody out: who shows the token again with the Refresh-Attempt that the session was begun
// with gets the same tokens, as long as that is live and has not been refreshed. Anybody else, and any other reason,
// gets what a forged token gets, so that a thief does not learn whether there was something to steal.
//
// Each try has the same id: if the answer to a COMMIT was lost, the next one finds its own session.
//
// Errors: RefreshInvalid, ServiceUnavailable; after the second the same token is as good as before.
func (s *Service) exchange(caller context.Context, in RefreshInput) (Tokens, error) {
	ctx, cancel := deadline(caller)
	defer cancel()
	id := models.ID(uuid.Must(uuid.NewV7()))
	var err error
	for try := range refreshTries {
		var t Tokens
		if t, err = s.exchangeAs(ctx, in, id); !errors.Is(err, refuse(ServiceUnavailable)) {
			if err != nil {
				s.observe("legacy_refused")
			}
			return t, err
		}
		if !pause(ctx, try) {
			break
		}
	}
	return Tokens{}, err
}

// passwordNeverShown: the old service saw it, at a time that nobody knows here. What asks for a password that was shown
// lately must not be had by such a token.
var passwordNeverShown = time.Unix(0, 0).UTC()

func (s *Service) exchangeAs(ctx context.Context, in RefreshInput, id models.ID) (Tokens, error) {
	c := in.Credential
	u, err := s.store.UserByID(ctx, c.Subject)
	if err != nil {
		return Tokens{}, refusedOrStoreError(err)
	}
	l := s.newSession(u, LoginInput{Transport: legacyTransports[c.Carrier], Client: in.Client})
	l.ID, l.Attempt, l.AuthenticatedAt = id, s.policy.attemptHash(in.Attempt), &passwordNeverShown
	if now := l.CreatedAt; !now.Before(s.legacyUntil) || !now.Before(c.Legacy.ExpiresAt) { // by now, after some tries
		return Tokens{}, refuse(RefreshInvalid)
	}
	err = s.store.ExchangeToken(ctx, models.OneTimeToken{
		ID: id, Purpose: models.PurposeLegacyRefresh, Hash: c.Legacy.Identity[:], UserID: u.ID, CreatedAt: l.CreatedAt, ExpiresAt: c.Legacy.ExpiresAt, UsedAt: &l.CreatedAt,
	}, l.Session, maxSessions, s.policy.tolerance(), s.eventIn(id, models.EventLogin, u.ID, in.Client, "with a refresh token of the Django service"))
	switch {
	case err == nil:
		s.observe("legacy_exchanged")
		return s.mint(grantOf(l), l.CreatedAt, true)
	case errors.Is(err, models.ErrConflict):
		return s.repeatExchange(ctx, in, id)
	}
	return Tokens{}, refusedOrStoreError(err) // ErrNotFound: not imported, inactive, or all sessions were ended since
}

// repeatExchange answers for a token that has been used: with the tokens of its session, to whom they belong.
func (s *Service) repeatExchange(ctx context.Context, in RefreshInput, own models.ID) (Tokens, error) {
	c := in.Credential
	used, err := s.store.Token(ctx, models.PurposeLegacyRefresh, c.Legacy.Identity[:])
	if err != nil {
		return Tokens{}, refusedOrStoreError(err)
	}
	l, err := s.store.Session(ctx, used.ID)
	if err != nil { // ErrNotFound also for one that the old service had revoked before the import
		return Tokens{}, refusedOrStoreError(err)
	}
	known := used.ID == own || sameAttempt(s.policy.attemptHash(in.Attempt), l.Attempt)
	if !known || l.UserID != c.Subject || l.Transport != string(legacyTransports[c.Carrier]) || l.Generation != 0 || alive(l, s.at(l)) != nil {
		return Tokens{}, refuse(RefreshInvalid)
	}
	now := s.now()
	ok, err := s.store.Touch(ctx, l.ID, l.Generation, now, s.policy.tolerance(), nil)
	if err != nil {
		return Tokens{}, storeError(err)
	}
	if !ok { // it has changed meanwhile, or the clock is off: decide again
		return Tokens{}, storeError(models.ErrClock)
	}
	s.observe("legacy_repeated")
	return s.mint(grantOf(l), now, true)
}

func refusedOrStoreError(err error) error {
	if errors.Is(err, models.ErrNotFound) {
		return refuse(RefreshInvalid)
	}
	return storeError(err)
}
