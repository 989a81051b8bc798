package accounts

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/names"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// registrationOperations implements the operations of the tag registration.
type registrationOperations struct {
	*core
	passwordChecks
	linkTokens
}

// Registration is a request to sign up. All members but Email and Password may be empty.
type Registration struct {
	Email, Password                       string
	Username, FirstName, LastName, Locale string
	Client                                Client
}

// Register stores a registration that waits for its verification, and queues a mail. No user exists
// before that, so nothing that a squatter typed can become the owner's account: a squatter without
// the mailbox has no link, and an owner who opens the link of a squatter's registration does not
// know the squatter's password.
//
// The same is stored for an address that has an account: the content of the mail is determined when
// it is sent, and an observer of this request sees no difference. If verification is optional, the
// user is created at once. Errors: RegistrationClosed, ValidationFailed, RateLimited,
// ServiceUnavailable.
func (s registrationOperations) Register(ctx context.Context, r Registration) error {
	if s.settings.RegistrationClosed {
		return problem.New(problem.RegistrationClosed)
	}
	if err := s.outbox.CheckBacklog(ctx, mail.Verify); err != nil {
		return err
	}
	u, err := s.registrant(r)
	if err != nil {
		return err
	}
	if s.hasher.IsFull(r.Client.Network()) {
		return hashError(credentials.ErrBusy)
	}
	uses := s.settings.RegistrationsPerClient.ForClient("register", r.Client.Network())
	if err := s.allow(ctx, uses...); err != nil {
		return err
	}
	if u.Password, err = s.hashPassword(ctx, r.Client.Network(), r.Password); err != nil {
		return s.refundUnlessDecided(ctx, hashError(err), uses...)
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	m := s.outbox.NewRequest(mail.Verify, u.Email, u.EmailNorm, r.Client)
	if r.Locale != "" {
		m.Locale = r.Locale
	}
	t := s.registrationToken(u, m)
	m.TokenID = &t.ID
	if s.settings.VerificationOptional {
		return s.answerMailRequest(s.addUnverifiedUser(ctx, u, t, m, r.Client))
	}
	return s.answerMailRequest(s.addRegistration(ctx, t, m, r.Client))
}

// registrant validates a registration and returns the user that it would create. Errors:
// ValidationFailed, ServiceUnavailable.
func (s registrationOperations) registrant(r Registration) (models.User, error) {
	now := s.now()
	u := models.User{Email: r.Email, Username: r.Username, FirstName: r.FirstName, LastName: r.LastName, Locale: r.Locale,
		IsActive: true, DateJoined: now, SessionEpoch: randomEpoch()}
	identity := normalizeIdentity(&u) // first, because the password is compared with the names
	return u, problem.Join(identity, s.checkNewPassword(r.Password, u))
}

// registrationToken returns the row of a registration, whose link is in the mail m.
func (s registrationOperations) registrationToken(u models.User, m models.Mail) models.OneTimeToken {
	t := s.outbox.NewToken(models.PurposeVerify, m)
	t.Email, t.EmailNorm, t.Username, t.FirstName, t.LastName, t.Locale, t.Password = u.Email, u.EmailNorm, u.Username, u.FirstName, u.LastName, m.Locale, u.Password
	return t
}

// addRegistration stores a registration that waits for its verification, and queues its mail. It
// reports whether the mail was queued. It stores the registration even if the address has had too
// many mails: a stranger's registration must not keep the owner's from existing when the owner opens
// a link. It stores nothing if the client has registered the address too often.
func (s registrationOperations) addRegistration(ctx context.Context, t models.OneTimeToken, m models.Mail, client Client) (queued bool, err error) {
	repeats, limit := s.repeatedRegistrationUse(client, t.EmailNorm), s.recipientLimit(mail.Verify, t.EmailNorm)
	err = s.store.Tx(ctx, func(tx *models.Tx) (err error) {
		if queued, err = ratelimit.CountIfAllowed(tx, repeats); err != nil || !queued {
			return err
		}
		if queued, err = outbox.QueueWithin(tx, m, limit); err != nil {
			return err
		}
		return tx.AddToken(t)
	})
	return queued, err
}

// addUnverifiedUser creates a user whose address is not verified, with the token and the mail. It
// does so only if the rate limit allows the mail, so that no address gets an account without notice
// to its owner. If another user has the address, it queues the mail alone, which then informs that
// user. It reports whether the mail was queued.
func (s registrationOperations) addUnverifiedUser(ctx context.Context, u models.User, t models.OneTimeToken, m models.Mail, client Client) (queued bool, err error) {
	limit, registered := s.recipientLimit(mail.Verify, u.EmailNorm), audit.Event{Kind: models.EventRegistered, Client: client}
	err = createWithFreeUsername(u, func(u *models.User) error {
		return s.store.Tx(ctx, func(tx *models.Tx) error {
			if err := createUser(tx, u, registered); err != nil {
				return err
			}
			if err := ratelimit.Count(tx, limit); err != nil {
				return err
			}
			t.UserID, m.UserID = u.ID, u.ID
			if err := tx.AddMails(m); err != nil {
				return err
			}
			return tx.AddToken(t)
		})
	})
	switch {
	case errors.Is(err, models.ErrConflict):
		m.UserID, m.TokenID = 0, nil
		return s.outbox.QueueAlone(ctx, m, limit)
	case ratelimit.IsExceeded(err):
		return false, nil
	}
	return err == nil, err
}

// createWithFreeUsername calls create with a user. If that fails because a unique value is taken, it
// calls create again with a generated username.
func createWithFreeUsername(u models.User, create func(u *models.User) error) error {
	err := create(ensureUsername(&u))
	if !errors.Is(err, models.ErrConflict) {
		return err
	}
	u.Username, u.UsernameNorm = "", ""
	return create(ensureUsername(&u))
}

// ensureUsername sets a generated username if the user has none: user- and 8 characters of base32.
// It returns the user.
func ensureUsername(u *models.User) *models.User {
	if u.UsernameNorm == "" {
		var b [5]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		u.Username = "user-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		u.UsernameNorm = u.Username
	}
	return u
}

// ResendVerification queues another mail for a registration that waits for its verification. Errors:
// ValidationFailed, RateLimited, ServiceUnavailable.
func (s registrationOperations) ResendVerification(ctx context.Context, email string, client Client) error {
	return s.requestLink(ctx, outbox.Resend, email, client)
}

// VerifyInput is the token of a verification mail, with the password typed at registration.
type VerifyInput struct {
	Token, Password string
	Transport       Transport
	Client          Client
}

// VerifyEmail creates the user of a registration, or verifies the address of an existing user, and
// signs in. A wrong password does not use up the link. Repeating the request with the right
// password is a login, so a lost answer does no harm. VerifyEmail never reactivates a user that an
// operator has deactivated. Errors: LinkInvalid, ValidationFailed (password_wrong), RateLimited,
// ServiceUnavailable.
func (s registrationOperations) VerifyEmail(ctx context.Context, in VerifyInput) (Tokens, models.User, error) {
	t, err := s.confirmRegistrant(ctx, in)
	if err != nil {
		return Tokens{}, models.User{}, err
	}
	switch {
	case t.UsedAt != nil: // by an earlier request, so this one is only a login
	case t.UserID != 0:
		err = s.verifyAddress(ctx, t, in.Client)
	default:
		err = s.createRegistrant(ctx, t, in.Client)
	}
	// After ErrNotFound or ErrConflict, the link or the address has been used a moment ago, perhaps by
	// a repetition of this request. Then the login succeeds; otherwise it fails.
	if err != nil && !errors.Is(err, models.ErrNotFound) && !errors.Is(err, models.ErrConflict) {
		return Tokens{}, models.User{}, problem.FromStore(err)
	}
	// This is a login without its rate limits, so that an attacker who guesses passwords for the
	// address cannot keep the owner from using the link.
	read, cancel := models.Bound(ctx)
	defer cancel()
	u, err := s.store.UserByEmail(read, t.EmailNorm)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return Tokens{}, u, problem.FromStore(err)
	}
	right, rehash, err := s.checkPassword(ctx, u, in.Password, in.Client)
	switch {
	case err != nil:
		return Tokens{}, u, err
	case !right: // another registration of the address was first, or the user is inactive
		return Tokens{}, u, problem.New(problem.LinkInvalid)
	}
	return s.signIn(ctx, u, rehash, LoginInput{Transport: in.Transport, Client: in.Client}, time.Time{})
}

// confirmRegistrant compares the password with that of the link's registration, and with the
// passwords of the newest tryRegistrations registrations of the same address. In an hour, one
// client can store only repeatRegistrations of them, so that a stranger alone cannot displace the
// owner's.
const (
	tryRegistrations    = 3
	repeatRegistrations = tryRegistrations - 1
)

// repeatedRegistrationUse returns the use of the rate limit of registrations of one address by one
// client. If the limit is exceeded, Register responds as usual but stores nothing. The limit counts
// only the /48 of the client; otherwise a customer with several /64s could displace the owner's
// registration.
func (s registrationOperations) repeatedRegistrationUse(client Client, emailNorm string) models.RateLimitUse {
	b := ratelimit.Limit{N: repeatRegistrations, Per: time.Hour}
	if s.settings.RegistrationsPerClient.N == 0 { // switched off with the others
		b.N = 0
	}
	return b.For("register_again_client", client.Network().Wide+" "+emailNorm)
}

// confirmRegistrant finds the token of a link, and verifies the password typed at registration, or
// the present one of the user that was created from it.
//
// A link is valid for every waiting registration of its address: the link proves the mailbox, and
// the password identifies the registration. If a stranger signs up with the owner's address first,
// the owner may for a while have only the mail of that registration, and opens its link.
// confirmRegistrant returns the link's token with the data of the registration that has the
// password, the newest if there are several. Errors: LinkInvalid, ValidationFailed
// (password_wrong), RateLimited, ServiceUnavailable.
func (s registrationOperations) confirmRegistrant(ctx context.Context, in VerifyInput) (models.OneTimeToken, error) {
	t, err := s.findToken(ctx, models.PurposeVerify, in.Token)
	if err != nil {
		return t, err
	}
	candidates, err := s.registrationsOfLink(ctx, t)
	if errors.Is(err, models.ErrNotFound) {
		return t, problem.New(problem.LinkInvalid)
	}
	if err != nil {
		return t, problem.FromStore(err)
	}
	var hashes []models.PasswordHash
	for _, each := range candidates {
		hashes = append(hashes, each.Password)
	}
	// The limit belongs to the mailbox. Otherwise each link in it would permit more guesses.
	which, err := s.comparePassword(ctx, in.Client, s.settings.LoginFailuresPerAccount.For(wrongPasswordsOfLink, t.EmailNorm), "password", in.Password, hashes...)
	candidates[which].ID = t.ID // the link's token is the one that is used
	return candidates[which], err
}

// registrationsOfLink returns the registrations whose passwords confirm a link, the newest first. If
// the registration has a user, it is the only one, with the present password of the user. Errors:
// models.ErrNotFound if the user is gone.
func (s registrationOperations) registrationsOfLink(ctx context.Context, t models.OneTimeToken) ([]models.OneTimeToken, error) {
	if t.UserID != 0 {
		u, err := s.store.UserByID(ctx, t.UserID)
		t.Password = u.Password
		return []models.OneTimeToken{t}, err
	}
	if t.UsedAt != nil {
		return []models.OneTimeToken{t}, nil
	}
	all, err := s.store.PendingRegistrations(ctx, t.EmailNorm, s.now(), tryRegistrations)
	if !slices.ContainsFunc(all, func(each models.OneTimeToken) bool { return each.ID == t.ID }) {
		all = append(all, t)
	}
	return all, err
}

// verifyAddress verifies the address of a user, if it is still that of the link. Errors:
// models.ErrNotFound if it is not, or the link has been used.
func (s registrationOperations) verifyAddress(ctx context.Context, t models.OneTimeToken, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	verified := audit.Event{Kind: models.EventEmailVerified, UserID: t.UserID, Client: client}
	return s.store.Tx(ctx, func(tx *models.Tx) error {
		if err := tx.UseToken(t); err != nil {
			return err
		}
		u, err := tx.ReadUserForUpdate(t.UserID)
		if err != nil {
			return err
		}
		if u.EmailNorm != t.EmailNorm {
			return models.ErrNotFound
		}
		now := tx.Now()
		return changeUser(tx, u, models.UserPatch{EmailVerifiedAt: &now}, verified)
	})
}

// createRegistrant creates the user of a registration, with the requested username if it is free and
// else a generated one. It ends every other registration of the address. Errors: models.ErrNotFound
// if the link has been used; models.ErrConflict if the address is taken.
func (s registrationOperations) createRegistrant(ctx context.Context, t models.OneTimeToken, client Client) error {
	now := s.now()
	u := models.User{Email: t.Email, EmailNorm: t.EmailNorm, FirstName: t.FirstName, LastName: t.LastName, Locale: t.Locale, Password: t.Password,
		IsActive: true, EmailVerifiedAt: &now, DateJoined: now, SessionEpoch: randomEpoch()}
	if norm, ok := names.ParseNewUsername(t.Username); ok {
		u.Username, u.UsernameNorm = t.Username, norm
	}
	registered := audit.Event{Kind: models.EventRegistered, Client: client}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	return createWithFreeUsername(u, func(u *models.User) error {
		return s.store.Tx(ctx, func(tx *models.Tx) error {
			if err := tx.UseToken(t); err != nil {
				return err
			}
			if err := tx.EndTokens(models.TokenFilter{EmailNorm: t.EmailNorm, Purpose: models.PurposeVerify}); err != nil {
				return err
			}
			if err := createUser(tx, u, registered); err != nil {
				return err
			}
			return tx.SetTokenUser(t, u.ID)
		})
	})
}
