package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// LegacySecrets holds the secrets with which the Django service signed its refresh tokens, and the
// time from which none of its tokens is accepted. The zero value accepts none.
type LegacySecrets struct {
	Secrets []string
	Until   time.Time
}

// LegacyToken is an authentic refresh token of the Django service.
type LegacyToken struct {
	Identity  token.LegacyIdentity
	ExpiresAt time.Time
}

// legacyTransports maps the location of a legacy token to the transport of the session that it is
// exchanged for.
var legacyTransports = map[TokenLocation]token.Transport{RefreshCookie: token.Hybrid, Body: token.Body}

// LegacyCredential verifies a refresh token of the Django service, which [Service.RefreshToken] then
// exchanges for a session. It does not query the database. Errors: RefreshInvalid for every fault,
// and if legacy tokens are not accepted any more.
func (s *Service) LegacyCredential(location TokenLocation, raw string) (Credential, error) {
	if legacyTransports[location] == "" || !s.now().Before(s.legacyUntil) {
		return Credential{}, problem.New(problem.RefreshInvalid)
	}
	c, err := s.legacy.Refresh(raw)
	if err != nil {
		return Credential{}, &problem.Error{Code: problem.RefreshInvalid, Cause: err}
	}
	return Credential{Location: location, Subject: c.Subject, Legacy: &LegacyToken{Identity: c.Identity, ExpiresAt: c.ExpiresAt}}, nil
}

// exchange begins a session for a refresh token of the Django service, once. The WHERE clause of
// [models.Store.ExchangeToken] decides which users may have one.
//
// A lost answer must not log a user out. A client that presents the token again, with the
// Refresh-Attempt with which the session was begun, gets the same tokens, as long as the session is
// live and has not been refreshed. In all other cases the answer is that for a forged token, so
// that a thief does not learn whether there was anything to steal.
//
// Each try has the same session id: if the answer to a COMMIT was lost, the next try finds its own
// session.
//
// Errors: RefreshInvalid, ServiceUnavailable (the same token can still be used).
func (s *Service) exchange(caller context.Context, in RefreshInput) (Tokens, error) {
	ctx, cancel := deadline(caller)
	defer cancel()
	id := models.ID(uuid.Must(uuid.NewV7()))
	var err error
	for try := range refreshTries {
		var t Tokens
		if t, err = s.exchangeAs(ctx, in, id); !errors.Is(err, problem.New(problem.ServiceUnavailable)) {
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

// passwordNeverShown is the time of authentication of a session that begins with a legacy token.
// The Django service verified the password, at a time that is unknown here, so the session must not
// have recent authentication.
var passwordNeverShown = time.Unix(0, 0).UTC()

func (s *Service) exchangeAs(ctx context.Context, in RefreshInput, id models.ID) (Tokens, error) {
	c := in.Credential
	u, err := s.store.UserByID(ctx, c.Subject)
	if err != nil {
		return Tokens{}, refusedOrStoreError(err)
	}
	l := s.newSession(u, LoginInput{Transport: legacyTransports[c.Location], Client: in.Client})
	l.ID, l.Attempt, l.AuthenticatedAt = id, s.policy.attemptHash(in.Attempt), &passwordNeverShown
	if now := l.CreatedAt; !now.Before(s.legacyUntil) || !now.Before(c.Legacy.ExpiresAt) { // either may have passed during the tries
		return Tokens{}, problem.New(problem.RefreshInvalid)
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
	return Tokens{}, refusedOrStoreError(err) // ErrNotFound: not imported, inactive, or all sessions revoked since
}

// repeatExchange handles a token that has been used: it returns the tokens of its session again if
// the request repeats the exchange. Errors: RefreshInvalid, ServiceUnavailable.
func (s *Service) repeatExchange(ctx context.Context, in RefreshInput, own models.ID) (Tokens, error) {
	c := in.Credential
	used, err := s.store.Token(ctx, models.PurposeLegacyRefresh, c.Legacy.Identity[:])
	if err != nil {
		return Tokens{}, refusedOrStoreError(err)
	}
	l, err := s.store.Session(ctx, used.ID)
	if err != nil { // ErrNotFound also for a token that Django had revoked before the import
		return Tokens{}, refusedOrStoreError(err)
	}
	known := used.ID == own || sameAttempt(s.policy.attemptHash(in.Attempt), l.Attempt)
	if !known || l.UserID != c.Subject || l.Transport != string(legacyTransports[c.Location]) || l.Generation != 0 || alive(l, s.at(l)) != nil {
		return Tokens{}, problem.New(problem.RefreshInvalid)
	}
	now := s.now()
	ok, err := s.store.Touch(ctx, l.ID, l.Generation, now, s.policy.tolerance(), nil)
	if err != nil {
		return Tokens{}, problem.FromStore(err)
	}
	if !ok { // the session has changed since, or the clocks differ: try again
		return Tokens{}, problem.FromStore(models.ErrClock)
	}
	s.observe("legacy_repeated")
	return s.mint(grantOf(l), now, true)
}

func refusedOrStoreError(err error) error {
	if errors.Is(err, models.ErrNotFound) {
		return problem.New(problem.RefreshInvalid)
	}
	return problem.FromStore(err)
}
