package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// Limits are the rate limits of actions that strangers can cause. They are counted in the database
// for all replicas together. None locks an account for good.
type Limits struct {
	LoginFailuresPerAccount ratelimit.Limit // wrong passwords for a name, a user or a mailbox; each kind is counted separately
	LoginFailuresPerClient  ratelimit.Limit
	PasswordsPerClient      ratelimit.Limit // passwords verified, right or wrong
	PasswordsPerUser        ratelimit.Limit // right passwords of a user, for logins and elsewhere
	RegistrationsPerClient  ratelimit.Limit // also the requests for a mail; each kind is counted separately
	ConfirmationsPerClient  ratelimit.Limit
	RareActionsPerUser      ratelimit.Limit // each kind is counted separately
	MailsPerRecipient       ratelimit.Limit
	MailsPerStaff           ratelimit.Limit
}

// Kinds of rate limits. Those of clients are completed by [ratelimit.Limit.ForClient].
const (
	loginFailuresOfName         = "login_account" // of a name as typed
	loginFailuresOfKnownNetwork = "login_known"   // of a name, by clients in one network that is known for it
	loginFailuresOfClient       = "login"
	verifiedPasswordsOfClient   = "passwords" // right or wrong
	rightPasswordsOfUser        = "passwords_user"
	wrongPasswordsOfUser        = "password_user" // of a signed-in user
	wrongPasswordsOfLink        = "password_link" // with the links to a mailbox
	confirmOfClient             = "confirm"
	emailChangesOfUser          = "email_change_user"
	passwordChangesOfUser       = "password_change_user"
	renamesOfUser               = "username_user"
	exportsOfUser               = "export_user"
	gracedRefreshesOfUser       = "refresh_graced_user"
	profileEventsOfUser         = "profile_user" // events, not changes
	mailsTo                     = "mail_"        // completed by a group of kinds of mails
	resetGroup                  = "reset"        // such a group
	mailsOfStaff                = "mail_staff_member"
)

// ownRateLimits returns the ids of the limits that keep a user from logging in and from changing the
// account.
func ownRateLimits(u models.User) []uuid.UUID {
	subject := ratelimit.SubjectOfUser(u.ID)
	return []uuid.UUID{
		ratelimit.ID(loginFailuresOfName, u.UsernameNorm), ratelimit.ID(loginFailuresOfName, u.EmailNorm),
		ratelimit.ID(wrongPasswordsOfUser, subject), ratelimit.ID(rightPasswordsOfUser, subject),
		ratelimit.ID(mailsTo+resetGroup, u.EmailNorm), // a reset that a stranger requested must not prevent the next one
	}
}

// allow counts actions before they happen. Errors: RateLimited, ServiceUnavailable.
func (s *core) allow(ctx context.Context, uses ...models.RateLimitUse) error {
	if err := s.limiter.Allow(ctx, uses...); err != nil {
		return s.limitError(err)
	}
	return nil
}

// limitError returns the contract's error for an error of package ratelimit or of the store. It
// returns an error of the contract as it is. No other function decides how an exceeded limit is
// answered.
func (s *core) limitError(err error) error {
	var decided *problem.Error
	var exceeded *ratelimit.Exceeded
	switch {
	case errors.As(err, &decided):
		return err
	case !errors.As(err, &exceeded):
		return problem.FromStore(err)
	case exceeded.InFlight:
		return problem.Unavailable(fmt.Errorf("%w: %w", credentials.ErrBusy, err))
	}
	s.count(metrics.RateLimited)
	return &problem.Error{Code: problem.RateLimited, RetryAfter: max(time.Second, exceeded.Until.Sub(s.now())), Cause: err}
}

// refundUnlessDecided returns err. If err is ServiceUnavailable, it refunds the uses, because the
// request could not be carried out.
func (s *core) refundUnlessDecided(ctx context.Context, err error, uses ...models.RateLimitUse) error {
	if !errors.Is(err, problem.New(problem.ServiceUnavailable)) {
		return err
	}
	return errors.Join(err, problem.FromStore(s.limiter.Refund(ctx, uses...)))
}
