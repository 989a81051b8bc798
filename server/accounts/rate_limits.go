package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/problem"
)

// Limit is a rate limit: N uses in a window of Per that begins with the first, each at least Pause
// after the one before. N = 0 is no limit.
type Limit struct {
	N          int
	Per, Pause time.Duration
}

// Limits are the rate limits of actions that strangers can cause. They are counted in the database
// for all replicas together. None locks an account for good: after Per, it permits uses again.
type Limits struct {
	LoginFailuresPerAccount Limit
	LoginFailuresPerClient  Limit
	PasswordsPerClient      Limit // passwords verified, right or wrong
	PasswordsPerUser        Limit // right passwords of a user
	RegistrationsPerClient  Limit // also the requests for a mail; each kind is counted separately
	ConfirmationsPerClient  Limit
	RareActionsPerUser      Limit // each kind is counted separately
	MailsPerRecipient       Limit
	MailsPerStaff           Limit
}

// Kinds of rate limits, which keep equal subjects apart. Those of clients end in requestsOf.
const (
	loginOfAccount  = "login_account"
	loginOfKnown    = "login_known"
	loginOfClient   = "login" + requestsOf
	passwordsOf     = "passwords" + requestsOf
	passwordsOfUser = "passwords_user"
	passwordOfUser  = "password_user"
	passwordOfLink  = "password_link"
	confirmOfClient = "confirm" + requestsOf
	changesOfUser   = "email_change_user"
	passwordChanges = "password_change_user"
	renamesOfUser   = "username_user"
	exportsOfUser   = "export_user"
	gracedOfUser    = "refresh_graced_user"
	profileOfUser   = "profile_user" // events, not changes
	mailsTo         = "mail_"        // a prefix of the group of kinds
	resets          = "reset"        // a group
	mailsOfStaff    = "mail_staff_member"
	requestsOf      = "_client"
)

// use returns one use of a rate limit.
func use(b Limit, kind, subject string) models.RateLimitUse {
	sum := sha256.Sum256([]byte(kind + "\x00" + subject))
	return models.RateLimitUse{ID: models.ID(sum[:16]), Kind: kind, Limit: b.N, Per: b.Per, Pause: b.Pause}
}

// judgeTime is how long the verification of a guess may take.
const judgeTime = 5 * time.Second

// guesses marks uses as guesses, which can be refunded while they are verified.
func guesses(list []models.RateLimitUse) []models.RateLimitUse {
	for i := range list {
		list[i].Flight = judgeTime
	}
	return list
}

// guess returns a use of a limit that is refunded if the guess was right. While guesses that are
// being verified use up the limit, further ones are rejected with ServiceUnavailable, because it is
// not known yet whether the limit is exceeded. Otherwise a client could get a Retry-After of a
// second, and then one of the rest of the window.
func guess(b Limit, kind, subject string) models.RateLimitUse {
	return guesses([]models.RateLimitUse{use(b, kind, subject)})[0]
}

// subjectOf returns the subject of a user's limits, which does not depend on the names.
func subjectOf(u models.User) string { return strconv.FormatInt(u.ID, 10) }

// confirmation returns the uses for a guess at the token of a link.
func (s *Service) confirmation(client Client) []models.RateLimitUse {
	return perClient(s.settings.ConfirmationsPerClient, confirmOfClient, client)
}

// verified returns the uses for a password that is verified for a client. They count whether the
// password is right or wrong. The threat is a client that keeps the hash slots busy with right
// passwords, which no limit of failures counts.
func (s *Service) verified(client Client) []models.RateLimitUse {
	return perClient(s.settings.PasswordsPerClient, passwordsOf, client)
}

// passwordRight returns the use that a right password of a user counts for. It limits the sessions
// and events that a user can create in an hour.
func (s *Service) passwordRight(u models.User) models.RateLimitUse {
	return use(s.settings.PasswordsPerUser, passwordsOfUser, subjectOf(u))
}

// spend counts uses before the limited action. Errors: RateLimited, ServiceUnavailable (see [guess]
// for one reason).
func (s *Service) spend(ctx context.Context, list ...models.RateLimitUse) error {
	list = bounded(list)
	if len(list) == 0 {
		return nil
	}
	now := s.now()
	if err := s.remembered(list, now); err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.store.Spend(ctx, now, list...)
	var over *models.RateLimitExceeded
	if errors.As(err, &over) && strings.HasSuffix(over.Kind, requestsOf) {
		s.spent.remember(over, now)
	}
	return s.limited(err)
}

// remembered rejects from memory if one of the limits has just been exceeded. Errors: RateLimited.
func (s *Service) remembered(list []models.RateLimitUse, now time.Time) error {
	if over := s.spent.find(list, now); over != nil {
		return s.rateLimited(over)
	}
	return nil
}

// limited returns the contract's error for that of an exceeded limit or of the store.
func (s *Service) limited(err error) error {
	var over *models.RateLimitExceeded
	if errors.As(err, &over) {
		return s.rateLimited(over)
	}
	return problem.FromStore(err)
}

const refundTime = 500 * time.Millisecond

// refund gives back the uses of an action that turned out not to be a failure.
func (s *Service) refund(ctx context.Context, list ...models.RateLimitUse) error {
	if list = bounded(list); len(list) == 0 {
		return nil
	}
	// The request's deadline does not apply. If it has passed, the password was not verified, and
	// the request must not count.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTime)
	defer cancel()
	return problem.FromStore(s.store.Refund(ctx, s.now(), idsOf(list)...))
}

// settleGuesses records that guesses, counted at the given time, turned out to be wrong. An error
// is ignored, because the guess was verified and counted: without the record, the next one may be
// told to retry soon.
func (s *Service) settleGuesses(ctx context.Context, counted time.Time, list ...models.RateLimitUse) {
	if list = bounded(list); len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTime)
	defer cancel()
	_ = s.store.SettleGuesses(ctx, counted, list...)
}

// ownRateLimits returns the ids of the limits that keep a user from logging in and from changing the
// account.
func ownRateLimits(u models.User) []models.ID {
	var off Limit
	return idsOf([]models.RateLimitUse{use(off, loginOfAccount, u.UsernameNorm), use(off, loginOfAccount, u.EmailNorm), use(off, passwordOfUser, subjectOf(u)),
		use(off, passwordsOfUser, subjectOf(u)),
		use(off, mailsTo+resets, u.EmailNorm)}) // a reset that a stranger requested must not prevent the next one
}

// bounded returns the uses whose limit is switched on.
func bounded(list []models.RateLimitUse) []models.RateLimitUse {
	var on []models.RateLimitUse
	for _, each := range list {
		if each.Limit > 0 {
			on = append(on, each)
		}
	}
	return on
}

func idsOf(list []models.RateLimitUse) []models.ID {
	ids := make([]models.ID, 0, len(list))
	for _, each := range list {
		ids = append(ids, each.ID)
	}
	return ids
}

func (s *Service) rateLimited(over *models.RateLimitExceeded) error {
	if over.InFlight {
		return problem.Unavailable(fmt.Errorf("%w: %w", credentials.ErrBusy, over))
	}
	s.observe("rate_limited")
	return &problem.Error{Code: problem.RateLimited, RetryAfter: max(time.Second, over.Until.Sub(s.now())), Cause: over}
}

// isOver reports whether err says that a limit of one of these kinds is exceeded.
func isOver(err error, kinds ...string) bool {
	var over *models.RateLimitExceeded
	return errors.As(err, &over) && slices.Contains(kinds, over.Kind)
}

// sooner returns the one of two rejections that ends sooner; a may be nil.
func sooner(a, b error) error {
	var first, second *models.RateLimitExceeded
	if errors.As(a, &first) && errors.As(b, &second) && first.Until.Before(second.Until) {
		return a
	}
	return b
}

// later returns the one of two rejections that ends later. It returns a if that is another error; a
// may be nil.
func later(a, b error) error {
	var first, second *models.RateLimitExceeded
	if a == nil || errors.As(a, &first) && errors.As(b, &second) && first.Until.Before(second.Until) {
		return b
	}
	return a
}

// refundUnlessDecided returns err. If it is ServiceUnavailable, the request could not be carried out, because
// of overload or a failure, and the uses are refunded.
func (s *Service) refundUnlessDecided(ctx context.Context, err error, list ...models.RateLimitUse) error {
	if !errors.Is(err, problem.New(problem.ServiceUnavailable)) {
		return err
	}
	return errors.Join(err, s.refund(ctx, list...))
}

// exceededLimits remembers for spentMemory which limits of clients are exceeded, so that a flood of
// one client is answered without the database. It remembers no other limits: a reset by mail, a
// staff member or an operator can release the limits of an account on any replica, and the next
// login must see that at once.
type exceededLimits struct {
	mu   sync.Mutex
	over map[models.ID]spentUntil
}

type spentUntil struct {
	limit, memory time.Time
	inFlight      bool
}

const (
	spentMemory = time.Second
	maxSpent    = 10_000
)

func (b *exceededLimits) find(list []models.RateLimitUse, now time.Time) *models.RateLimitExceeded {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, each := range list {
		if found, ok := b.over[each.ID]; ok && now.Before(found.memory) && now.Before(found.limit) {
			return &models.RateLimitExceeded{ID: each.ID, Kind: each.Kind, Until: found.limit, InFlight: found.inFlight}
		}
	}
	return nil
}

func (b *exceededLimits) remember(over *models.RateLimitExceeded, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.over) >= maxSpent || b.over == nil {
		b.over = map[models.ID]spentUntil{} // the limits that this forgets are read from the database
	}
	b.over[over.ID] = spentUntil{limit: over.Until, memory: now.Add(spentMemory), inFlight: over.InFlight}
}
