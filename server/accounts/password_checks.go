package accounts

import (
	"context"
	"errors"
	"strings"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/sessions"
)

// passwordChecks checks new passwords against the policy, verifies present ones within the rate
// limits, and signs users in.
type passwordChecks struct {
	*core
	userLookup
}

// checkNewPassword checks a new password against the policy, against the user's own data and the
// names of the service, which attackers try first, and against the list of breached passwords (ASVS
// 6.2.12). If the list cannot be read, every new password is rejected with ServiceUnavailable: a
// full disk or a replaced file must not switch the check off unnoticed. Logins are not affected.
// Errors: ValidationFailed, ServiceUnavailable.
func (s passwordChecks) checkNewPassword(password string, u models.User) error {
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
func (s passwordChecks) checkPolicy(password string, u models.User) error {
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

// onField returns the error with its faults moved to another member of the request, or the error
// itself if it names no member.
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

// checkPassword reports whether the user may log in with the password. An unknown user, for whom u is
// empty, may not. rehash is a stronger hash to replace the stored one, or empty. Errors:
// ServiceUnavailable.
func (s passwordChecks) checkPassword(ctx context.Context, u models.User, password string, client Client) (right bool, rehash models.PasswordHash, err error) {
	// For an unknown user the hash is empty. Verifying it takes as long as verifying a real one.
	ok, weak, err := s.hasher.Verify(ctx, client.Network(), u.Password.Reveal(), password)
	if errors.Is(err, credentials.ErrMalformed) || errors.Is(err, credentials.ErrTooCostly) {
		s.count(metrics.HashUnusable) // a 500 would reveal that the name exists
		ok, weak, err = s.hasher.Verify(ctx, client.Network(), "", password)
	}
	if err != nil {
		return false, "", hashError(err)
	}
	// An imported user need not verify the address: Django let that user in, and the account may
	// have no address at all.
	unverified := u.EmailVerifiedAt == nil && u.Email != "" && u.ImportedEpoch == nil
	if !ok || !u.IsActive || unverified && !s.settings.VerificationOptional {
		return false, "", nil
	}
	if !weak {
		return true, "", nil
	}
	rehash, err = s.hashPassword(ctx, client.Network(), password)
	if err != nil {
		s.count(metrics.RehashSkipped) // the old hash still works; a later login replaces it
	}
	return true, rehash, nil
}

// signIn counts a right password, begins a session, and records the client's network as known for
// the user. The limit of right passwords bounds the sessions and events that a user can create in an
// hour. knownUntil is the time until which the network is already recorded. If the session
// cannot be begun because of overload or a failure, the count is refunded. Otherwise a client that
// repeats its request until the database is back would exceed the limit.
func (s passwordChecks) signIn(ctx context.Context, u models.User, rehash models.PasswordHash, in LoginInput, knownUntil time.Time) (Tokens, models.User, error) {
	right := s.settings.PasswordsPerUser.ForUser(rightPasswordsOfUser, u.ID)
	if err := s.allow(ctx, right); err != nil {
		return Tokens{}, u, err
	}
	t, u, err := s.sessions.Begin(ctx, sessions.NewSession{User: u, Transport: in.Transport, Client: in.Client}, rehash)
	if err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, err, right)
	}
	s.addKnownNetwork(ctx, u, in.Client, knownUntil)
	return t, u, nil
}

// confirmPassword verifies the password of a signed-in user again, before an operation that a
// stolen session must not permit. It returns the user with the password hash. Errors:
// ValidationFailed (required, password_wrong), SessionRevoked, RateLimited, ServiceUnavailable.
func (s passwordChecks) confirmPassword(ctx context.Context, p Principal, field, password string, client Client) (models.User, error) {
	u, err := s.userOf(ctx, p)
	if err != nil {
		return u, err
	}
	entered := ownPassword{limit: wrongPasswordsOfUser, field: field, value: password, event: audit.Event{UserID: u.ID, SessionID: p.Session.ID, Client: client}}
	return u, s.verifyOwnPassword(ctx, u, entered, client)
}

// ownPassword is the present password that a user has entered in a field of a request.
type ownPassword struct {
	limit        string // the kind of the limit that a wrong password counts against
	field, value string
	event        audit.Event // without a kind, to record a wrong password
}

// verifyOwnPassword verifies the present password of a user within the limits of the user and the
// client, and records a wrong one. Errors: ValidationFailed (required, password_wrong),
// RateLimited, ServiceUnavailable.
func (s passwordChecks) verifyOwnPassword(ctx context.Context, u models.User, p ownPassword, client Client) error {
	if p.value == "" {
		return problem.Invalid(p.field, "required")
	}
	failure := s.settings.LoginFailuresPerAccount.ForUser(p.limit, u.ID)
	_, err := s.comparePassword(ctx, client, failure, p.field, p.value, u.Password)
	if err == nil {
		err = s.allow(ctx, s.settings.PasswordsPerUser.ForUser(rightPasswordsOfUser, u.ID))
	}
	if err != nil {
		s.recordRejectedPassword(p.event, err)
	}
	return err
}

// comparePassword returns the index of the hash that the password matches. Wrong passwords count
// against the limits, so that an attacker with a stolen session or mailbox cannot find the password
// by trying. Errors: ValidationFailed (password_wrong), RateLimited, ServiceUnavailable.
func (s passwordChecks) comparePassword(ctx context.Context, client Client, failure models.RateLimitUse, field, password string, hashes ...models.PasswordHash) (which int, err error) {
	if s.hasher.IsFull(client.Network()) {
		return 0, hashError(credentials.ErrBusy)
	}
	attempt := ratelimit.Attempt{
		Secret:   []models.RateLimitUse{failure},
		Verified: s.settings.PasswordsPerClient.ForClient(verifiedPasswordsOfClient, client.Network()),
	}
	right, err := s.limiter.Verify(ctx, attempt, func() (bool, error) {
		for i, hash := range hashes {
			ok, _, err := s.hasher.Verify(ctx, client.Network(), hash.Reveal(), password)
			switch {
			case errors.Is(err, credentials.ErrMalformed) || errors.Is(err, credentials.ErrTooCostly):
				s.count(metrics.HashUnusable)
			case err != nil:
				return false, hashError(err)
			case ok:
				which = i
				return true, nil
			}
		}
		return false, nil
	})
	switch {
	case err != nil:
		return 0, s.limitError(err)
	case !right:
		return 0, wrongPasswordError(field)
	}
	return which, nil
}

// recordRejectedPassword records a wrong password of a signed-in user or of the holder of a link,
// or that a limit of such passwords is exceeded. e is the event without its kind.
func (s passwordChecks) recordRejectedPassword(e audit.Event, err error) {
	subject := ratelimit.SubjectOfUser(e.UserID)
	r := audit.Rejection{Event: e}
	switch {
	case errors.Is(err, problem.New(problem.ValidationFailed)):
		r.Event.Kind, r.Subjects = models.EventPasswordWrong, []string{subject, e.Client.Network().Narrow}
	case errors.Is(err, problem.New(problem.RateLimited)):
		r.Event.Kind, r.Subjects = models.EventRateLimited, []string{subject}
	default:
		return
	}
	s.audit.RecordRejected(r)
}

// wrongPasswordError returns the error for a wrong present password of a signed-in user. It is
// never a 401, because clients respond to that with a refresh.
func wrongPasswordError(field string) error { return problem.Invalid(field, "password_wrong") }

func hashError(err error) error {
	if errors.Is(err, credentials.ErrBusy) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return problem.Unavailable(err)
	}
	return err
}
