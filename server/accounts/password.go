package accounts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/sessions"
)

// checkNewPassword checks a new password against the policy, against the user's own data and the
// names of the service, which attackers try first, and against the list of breached passwords (ASVS
// 6.2.12). If the list cannot be read, every new password is rejected with ServiceUnavailable: a
// full disk or a replaced file must not switch the check off unnoticed. Logins are not affected.
// Errors: ValidationFailed, ServiceUnavailable.
func (s *Service) checkNewPassword(password string, u models.User) error {
	if err := s.checkPolicy(password, u); err != nil || s.breached == nil {
		return err
	}
	switch found, err := s.breached.Contains(password); {
	case err != nil:
		return problem.Unavailable(err)
	case found:
		return problem.Invalid("password", credentials.CodeBreached)
	}
	return nil
}

// checkPolicy checks a new password against the policy, the user's own data and the names of the
// service. Errors: ValidationFailed.
func (s *Service) checkPolicy(password string, u models.User) error {
	err := credentials.CheckPolicy(password, s.settings.MinPassword, append(ownWords(u), s.settings.SiteNames...)...)
	var refused *credentials.PolicyError
	if errors.As(err, &refused) {
		return &problem.Error{Code: problem.ValidationFailed, Fields: []problem.FieldFault{{Field: "password", Reason: refused.Code, Minimum: refused.Minimum, Maximum: refused.Maximum}}}
	}
	return err
}

// ownWords returns the names and the address of a user, whole and in parts.
func ownWords(u models.User) []string {
	local, domain, _ := strings.Cut(u.EmailNorm, "@")
	host, _, _ := strings.Cut(domain, ".")
	return []string{
		u.Username, u.UsernameNorm, u.EmailNorm, local, host,
		u.FirstName, u.LastName, u.FirstName + u.LastName, u.FirstName + " " + u.LastName,
	}
}

// onField names another member of the request as the one at fault.
func onField(field string, err error) error {
	var rule *problem.Error
	if !errors.As(err, &rule) || len(rule.Fields) == 0 {
		return err
	}
	on := &problem.Error{Code: rule.Code, Cause: rule.Cause}
	for _, fault := range rule.Fields {
		fault.Field = field
		on.Fields = append(on.Fields, fault)
	}
	return on
}

// isFieldFault reports whether an error names members of the request.
func isFieldFault(err error) bool {
	var rule *problem.Error
	return errors.As(err, &rule) && len(rule.Fields) > 0
}

// passwordWrong returns the error for a wrong present password of a signed-in user. It is never a
// 401, because clients respond to that with a refresh.
func passwordWrong(field string) error { return problem.Invalid(field, "password_wrong") }

// confirmPassword verifies the password of a signed-in user again, before an operation that a
// stolen session must not permit. It returns the user with the password hash. Errors:
// ValidationFailed (required, password_wrong), SessionRevoked, RateLimited, ServiceUnavailable.
func (s *Service) confirmPassword(ctx context.Context, p Principal, field, password string, client Client) (models.User, error) {
	u, err := s.userOf(ctx, p)
	if err != nil {
		return u, err
	}
	entered := ownPassword{limit: passwordOfUser, field: field, value: password, event: s.eventIn(p.Session.ID, "", u.ID, client, "")}
	return u, s.verifyOwnPassword(ctx, u, entered, client)
}

// ownPassword is the present password that a user has entered in a field of a request.
type ownPassword struct {
	limit        string // the kind of limit that wrong passwords count for
	field, value string
	event        models.Event // without a kind, to record a wrong password
}

// verifyOwnPassword verifies the present password of a user within the limits of the user and the
// client, and records a wrong one. Errors: ValidationFailed (required, password_wrong), RateLimited,
// ServiceUnavailable.
func (s *Service) verifyOwnPassword(ctx context.Context, u models.User, p ownPassword, client Client) error {
	if p.value == "" {
		return problem.Invalid(p.field, "required")
	}
	failure := use(s.settings.LoginFailuresPerAccount, p.limit, subjectOf(u))
	_, err := s.comparePassword(ctx, client, failure, p.field, p.value, u.Password)
	if err == nil {
		err = s.spend(ctx, s.passwordRight(u))
	}
	s.notePassword(p.event, client, err)
	return err
}

// userOf reads the principal's user with the password hash. Errors: SessionRevoked,
// ServiceUnavailable.
func (s *Service) userOf(ctx context.Context, p Principal) (models.User, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := s.store.UserByID(ctx, p.User.ID)
	if errors.Is(err, models.ErrNotFound) || err == nil && (u.SessionEpoch != p.User.SessionEpoch || !u.IsActive) {
		return u, problem.New(problem.SessionRevoked)
	}
	return u, problem.FromStore(err)
}

// comparePassword returns the index of the hash that the password matches. Wrong passwords count
// against the limits, so that an attacker with a stolen session or mailbox cannot find the password
// by trying. Errors: ValidationFailed (password_wrong), RateLimited, ServiceUnavailable.
func (s *Service) comparePassword(ctx context.Context, client Client, failure models.RateLimitUse, field, password string, hashes ...string) (which int, err error) {
	if err := s.busy(client); err != nil {
		return 0, err
	}
	attempt := ratelimit.Attempt{Secret: []models.RateLimitUse{failure}, Verified: s.verified(client)}
	right, err := s.limiter.Verify(ctx, attempt, func() (right bool, err error) {
		which, right, err = s.matchingHash(ctx, client, password, hashes)
		return right, err
	})
	switch {
	case err != nil:
		return 0, s.limitError(err)
	case !right:
		return 0, passwordWrong(field)
	}
	return which, nil
}

// matchingHash returns the index of the hash that the password matches. Errors: ServiceUnavailable
// if the password was not verified.
func (s *Service) matchingHash(ctx context.Context, client Client, password string, hashes []string) (which int, ok bool, err error) {
	for i, hash := range hashes {
		ok, _, err := s.hasher.Verify(ctx, networksOf(client), hash, password)
		switch {
		case errors.Is(err, credentials.ErrMalformed) || errors.Is(err, credentials.ErrTooCostly):
			s.observe("hash_unusable")
		case err != nil:
			return 0, false, hashError(err)
		case ok:
			return i, true, nil
		}
	}
	return 0, false, nil
}

// changedMeanwhile returns the error of a change whose user has changed since the password was verified.
// If only the hash has changed, because a login at the same moment renewed it, the session is still
// live and the client can repeat the request. Errors: SessionRevoked, ServiceUnavailable.
func (s *Service) changedMeanwhile(ctx context.Context, u models.User) error {
	now, err := s.store.UserByID(ctx, u.ID)
	switch {
	case errors.Is(err, models.ErrNotFound) || err == nil && (now.SessionEpoch != u.SessionEpoch || !now.IsActive):
		return problem.New(problem.SessionRevoked)
	case err != nil:
		return problem.FromStore(err)
	}
	return problem.Unavailable(errors.New("the user was changed by another request at the same time"))
}

// ChangePassword sets the password, revokes every session and every open link of the principal's
// user, and begins a new session in the same transport. No earlier token works any more. Errors:
// ValidationFailed, SessionRevoked, RateLimited, ServiceUnavailable.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next string, client Client) (Tokens, models.User, error) {
	u, err := s.confirmPassword(ctx, p, "current_password", current, client)
	if err != nil && !isFieldFault(err) {
		return Tokens{}, u, err
	}
	if err := problem.Join(err, onField("new_password", s.checkNewPassword(next, u))); err != nil {
		return Tokens{}, u, err
	}
	// Each change begins a session and sends a mail to the user's address, which may be a mailing
	// list's or a stranger's.
	changes := use(s.settings.RareActionsPerUser, passwordChanges, subjectOf(u))
	if err := s.spend(ctx, changes); err != nil {
		return Tokens{}, u, err
	}
	hash, err := s.hasher.Hash(ctx, networksOf(client), next)
	if err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, hashError(err), changes)
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	after := u
	after.SessionEpoch++
	session := models.Session{ID: sessions.NewID()}
	notices, changed := s.notices(u, mail.PasswordChanged, client), s.eventIn(p.Session.ID, models.EventPasswordChanged, u.ID, client, "")
	err = s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
		return runSteps(
			func() error { return changeUser(tx, u, models.UserPatch{Password: &hash}, changed) },
			func() (err error) {
				session, err = s.Add(tx, sessions.NewSession{ID: session.ID, User: after, Transport: p.Transport(), Client: client})
				return err
			},
			func() error { return tx.AddMails(notices...) },
		)
	})
	if errors.Is(err, models.ErrNotFound) {
		return Tokens{}, u, s.changedMeanwhile(ctx, u)
	}
	if err := resolved(err, func() bool { return s.exists(ctx, session.ID) }); err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, problem.FromStore(err), changes)
	}
	s.wakeMail()
	t, err := s.FirstTokens(session)
	return t, after, err
}

// RequestPasswordReset queues a mail with a link to set a new password. Whether the address has an account
// is checked when the mail is sent: the request does the same for every address, and so takes the
// same time. Errors: ValidationFailed, RateLimited, ServiceUnavailable.
func (s *Service) RequestPasswordReset(ctx context.Context, email string, client Client) error {
	return s.request(ctx, mail.Reset, email, s.settings.ResetTTL, client)
}

// request queues a mail that a stranger requests for an address.
func (s *Service) request(ctx context.Context, kind mail.Kind, email string, life time.Duration, client Client) error {
	if err := s.admitMail(ctx, requestPriority(kind)); err != nil {
		return err
	}
	norm, err := anyEmail(email)
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	if err := s.spend(ctx, perClient(s.settings.RegistrationsPerClient, string(kind)+requestsOf, client)...); err != nil {
		return err
	}
	m := s.newMail(kind, life, client)
	m.Email, m.EmailNorm = email, norm
	return s.queued(s.outbox.QueueAlone(ctx, m, s.mailBudget(kind, norm)))
}

// ConfirmPasswordReset sets a new password with the token of a reset mail, which works once. It revokes
// every session and every other open link of the user, and does not sign in. Errors: LinkInvalid,
// ValidationFailed, RateLimited, ServiceUnavailable.
func (s *Service) ConfirmPasswordReset(ctx context.Context, value, password string, client Client) error {
	if err := s.busy(client); err != nil {
		return err
	}
	uses := s.confirmation(client)
	if err := s.spend(ctx, uses...); err != nil {
		return err
	}
	t, u, err := s.resetting(ctx, value)
	if err != nil {
		return err
	}
	if err := onField("new_password", s.checkNewPassword(password, u)); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, networksOf(client), password)
	if err != nil {
		return s.refundUnlessDecided(ctx, hashError(err), uses...)
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	limits := append(ownRateLimits(u), networkRateLimits(u, client)...) // a reset permits logins again after an attacker has exhausted the limits
	var r models.PasswordReset
	err = guarded(func() (_ models.User, err error) {
		t, u, err = s.resetting(ctx, value)
		return u, err
	}, func(u models.User) error {
		r = s.passwordReset(t, u, hash, client)
		r.Limits = limits
		err := s.store.ResetPassword(ctx, r, s.event(models.EventPasswordReset, u.ID, client, ""))
		return resolved(err, func() bool { return s.wasUsed(ctx, t, r.Now) })
	})
	if err != nil {
		return err
	}
	if r.Username != "" {
		u.Username, u.UsernameNorm = r.Username, r.Username
	}
	s.addKnownNetwork(ctx, u, client, time.Time{})
	s.wakeMail()
	return nil
}

// resetting returns the open token of a reset and its user. Errors: LinkInvalid,
// ServiceUnavailable.
func (s *Service) resetting(ctx context.Context, value string) (models.OneTimeToken, models.User, error) {
	t, err := s.openToken(ctx, models.PurposeReset, value)
	if err != nil {
		return t, models.User{}, err
	}
	u, err := s.store.UserByID(ctx, t.UserID)
	if errors.Is(err, models.ErrNotFound) || err == nil && (!u.IsActive || u.EmailNorm != t.EmailNorm) {
		return t, u, problem.New(problem.LinkInvalid)
	}
	return t, u, problem.FromStore(err)
}

// passwordReset prepares the write of a reset.
//
// Where verification is optional, a stranger can have registered with the owner's address. A reset
// that verifies the address for the first time hands that account to the owner, so it clears what
// the stranger typed: the names and the language, and the username, which a generated one replaces.
// The owner can choose the old username again. Data of invited and imported users stays, because it
// was entered by staff or in Django.
func (s *Service) passwordReset(t models.OneTimeToken, u models.User, hash string, client Client) models.PasswordReset {
	r := models.PasswordReset{Token: t, Hash: hash, Now: s.now()}
	if u.EmailVerifiedAt == nil && u.ImportedEpoch == nil && credentials.IsUsable(u.Password) {
		r.Username = withUsername(&models.User{}).Username
		u.FirstName, u.Locale = "", ""
	}
	r.Notice = s.mailTo(u, mail.PasswordChanged, client)
	return r
}

// exists reports whether the session's row exists.
func (s *Service) exists(ctx context.Context, id models.ID) bool {
	_, err := s.store.Session(ctx, id)
	return err == nil
}

// oneTime returns the row of a one-time token. Its value is a function of the id and the server's
// secret.
func (s *Service) oneTime(id uuid.UUID, purpose string, created time.Time, life time.Duration) models.OneTimeToken {
	return models.OneTimeToken{ID: models.ID(id), Purpose: purpose, Hash: hashOf(s.ring.OneTime(id)), CreatedAt: created, ExpiresAt: created.Add(life)}
}

// wasUsed reports whether a link was used at that instant, and so by the call that read it.
func (s *Service) wasUsed(ctx context.Context, t models.OneTimeToken, now time.Time) bool {
	found, err := s.store.TokenByID(ctx, t.Purpose, t.ID)
	return err == nil && found.UsedAt != nil && found.UsedAt.Equal(now)
}

// openToken returns a token that can still be used. Errors: LinkInvalid, ServiceUnavailable.
func (s *Service) openToken(ctx context.Context, purpose, value string) (models.OneTimeToken, error) {
	t, err := s.findToken(ctx, purpose, value)
	if err == nil && t.UsedAt != nil {
		return t, problem.New(problem.LinkInvalid)
	}
	return t, err
}

// findToken returns the token that has the value, even if it has been used. Errors: LinkInvalid,
// ServiceUnavailable.
//
// A matching hash is not enough: an attacker who has a leaked secret and the id of a row can
// compute the value of its link. A value counts only if a secret of the present key ring derives
// it, so that removing a secret invalidates its links.
func (s *Service) findToken(ctx context.Context, purpose, value string) (models.OneTimeToken, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	t, err := s.store.Token(ctx, purpose, hashOf(value))
	if errors.Is(err, models.ErrNotFound) || err == nil && !s.now().Before(t.ExpiresAt) {
		return t, problem.New(problem.LinkInvalid)
	}
	if err == nil && !slices.Contains(s.ring.OneTimes(uuid.UUID(t.ID)), value) {
		return t, problem.New(problem.LinkInvalid)
	}
	return t, problem.FromStore(err)
}
