package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// Registration is a sign-up as it came; all but the first two may be empty.
type Registration struct {
	Email, Password                       string
	Username, FirstName, LastName, Locale string
	Client                                Client
}

// Register stores a registration that waits for its verification, and queues a mail. No user exists before that, so
// nothing that a squatter typed can become the owner's account: who has no mailbox has no link, and who clicks a
// stranger's link does not know the stranger's password.
//
// The same is stored for an address that has an account: which mail goes out is decided when it is sent, and an
// observer of this request sees no difference. Where verification is optional the user is made at once.
// Errors: RegistrationClosed, ValidationFailed, RateLimited, ServiceUnavailable.
func (s *Service) Register(ctx context.Context, r Registration) error {
	if s.settings.RegistrationClosed {
		return refuse(RegistrationClosed)
	}
	if err := s.admitMail(ctx, requestPriority(mail.Verify)); err != nil {
		return err
	}
	u, err := s.registrant(r)
	if err != nil {
		return err
	}
	if err := s.busy(r.Client); err != nil {
		return err
	}
	uses := perClient(s.settings.RegistrationsPerClient, "register"+requestsOf, r.Client)
	if err := s.spend(ctx, uses...); err != nil {
		return err
	}
	if u.Password, err = s.hasher.Hash(ctx, r.Client.networks(), r.Password); err != nil {
		return s.unjudged(ctx, hashError(err), uses...)
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	m := s.newMail(mail.Verify, s.settings.VerifyTTL, r.Client)
	if r.Locale != "" {
		m.Locale = r.Locale
	}
	m.Email, m.EmailNorm = u.Email, u.EmailNorm
	return s.queued(s.storeRegistration(ctx, u, m, r.Client))
}

// registrant checks what was typed and shapes the user it would become.
func (s *Service) registrant(r Registration) (models.User, error) {
	now := s.now()
	u := models.User{Email: r.Email, Username: r.Username, FirstName: r.FirstName, LastName: r.LastName, Locale: r.Locale,
		IsActive: true, DateJoined: now, SessionEpoch: newEpoch()}
	identity := newIdentity(&u) // first, because the password is compared with the names
	return u, allFaults(identity, s.checkNewPassword(r.Password, u))
}

// storeRegistration stores it also where there have been enough mails to the address: a stranger's registration must
// not keep the owner's from being there when the owner opens a link.
func (s *Service) storeRegistration(ctx context.Context, u models.User, m models.Mail, client Client) (queued bool, err error) {
	t := s.oneTime(uuid.UUID(m.ID), models.PurposeVerify, m.CreatedAt, s.settings.VerifyTTL)
	t.Email, t.EmailNorm, t.Username, t.FirstName, t.LastName, t.Locale, t.Password = u.Email, u.EmailNorm, u.Username, u.FirstName, u.LastName, m.Locale, u.Password
	m.TokenID = &t.ID
	budget := s.mailBudget(mail.Verify, u.EmailNorm)
	if !s.settings.VerificationOptional {
		return s.store.AddRegistration(ctx, t, m, budget, s.repeats(client, u.EmailNorm))
	}
	registered := s.event(models.EventRegistered, 0, client, "")
	queued, err = s.store.AddUserRegistration(ctx, withUsername(&u), t, m, budget, registered)
	if errors.Is(err, models.ErrConflict) && u.Username != "" { // the wished username, perhaps
		u.Username, u.UsernameNorm = "", ""
		queued, err = s.store.AddUserRegistration(ctx, withUsername(&u), t, m, budget, registered)
	}
	if errors.Is(err, models.ErrConflict) { // the address: its owner is told, and nobody else
		m.TokenID = nil
		return s.store.AddMail(ctx, m, budget)
	}
	return queued, err
}

// withUsername gives a user without a username a generated one: user- and 8 characters of base32.
func withUsername(u *models.User) *models.User {
	if u.UsernameNorm == "" {
		var b [5]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		u.Username = "user-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		u.UsernameNorm = u.Username
	}
	return u
}

// Resend queues the mail of a registration that waits for its verification once more. Errors: ValidationFailed,
// RateLimited, ServiceUnavailable.
func (s *Service) Resend(ctx context.Context, email string, client Client) error {
	return s.request(ctx, resend, email, s.settings.VerifyTTL, client)
}

// VerifyInput is the token of a verification mail, with the password typed at registration.
type VerifyInput struct {
	Token, Password string
	Transport       Transport
	Client          Client
}

// Verify makes the user of a registration, or verifies the address of one that exists, and signs in. A wrong password
// consumes nothing. Doing it again with the right one is simply a login, so a lost answer does no harm; it never
// re-activates a user that an operator has disabled.
// Errors: LinkInvalid, ValidationFailed (password_wrong), RateLimited, ServiceUnavailable.
func (s *Service) Verify(ctx context.Context, in VerifyInput) (Tokens, models.User, error) {
	uses := s.confirmation(in.Client)
	if err := s.spend(ctx, uses...); err != nil {
		return Tokens{}, models.User{}, err
	}
	t, err := s.findToken(ctx, models.PurposeVerify, in.Token)
	if err != nil {
		return Tokens{}, models.User{}, err
	}
	if t, err = s.confirmRegistrant(ctx, t, in.Password, in.Client); err != nil {
		return Tokens{}, models.User{}, s.unjudged(ctx, err, uses...)
	}
	if t.UsedAt == nil {
		if err := s.completeRegistration(ctx, t, in.Client); err != nil {
			return Tokens{}, models.User{}, err
		}
	}
	// A login, but for its budgets: who guesses at the address keeps nobody from opening the link.
	u, rehash, err := s.checkPassword(ctx, loginName{t.EmailNorm, true}, in.Password, in.Client)
	if errors.Is(err, refuse(CredentialsInvalid)) { // another registration of the address was first, or the user is disabled
		return Tokens{}, u, refuse(LinkInvalid)
	}
	if err != nil {
		return Tokens{}, u, err
	}
	return s.signIn(ctx, u, rehash, LoginInput{Transport: in.Transport, Client: in.Client}, time.Time{})
}

// tryRegistrations is how many registrations of an address one password is compared with, beside that of the link: the
// newest ones. Of one client there are fewer, so that a stranger alone cannot push the owner's out.
const (
	tryRegistrations    = 3
	repeatRegistrations = tryRegistrations - 1
)

// repeats returns the rate limit of registrations of one address by one client. The answer is the
// same when it is exceeded. It counts the wide network alone: with a few /64s one customer could
// push the owner's registration out.
func (s *Service) repeats(client Client, emailNorm string) models.Spending {
	b := Budget{N: repeatRegistrations, Per: time.Hour}
	if s.settings.RegistrationsPerClient.N == 0 { // switched off with the others
		b.N = 0
	}
	return use(b, "register_again"+requestsOf, client.WideNetwork()+" "+emailNorm)
}

// confirmRegistrant asks for the password typed at registration, or for the present one of the user that was made of it.
//
// A link is good for every registration of its address that waits: the link proves the mailbox, and the password says
// whose registration it is. A stranger who signs up with somebody's address first has the only mail for a while, and
// the owner opens that. The answer is the link's token with the registration that has the password, the newest if
// there are several.
func (s *Service) confirmRegistrant(ctx context.Context, t models.OneTimeToken, password string, client Client) (models.OneTimeToken, error) {
	var all []models.OneTimeToken
	var err error
	switch {
	case t.UserID != 0:
		var u models.User
		u, err = s.store.UserByID(ctx, t.UserID)
		t.Password = u.Password
	case t.UsedAt == nil:
		all, err = s.store.PendingRegistrations(ctx, t.EmailNorm, s.now(), tryRegistrations)
	}
	if errors.Is(err, models.ErrNotFound) {
		return t, refuse(LinkInvalid)
	}
	if err != nil {
		return t, storeError(err)
	}
	if !slices.ContainsFunc(all, func(each models.OneTimeToken) bool { return each.ID == t.ID }) {
		all = append(all, t)
	}
	var hashes []string
	for _, each := range all {
		hashes = append(hashes, each.Password)
	}
	// The budget is that of the mailbox, or each link in it would give so many guesses more.
	which, err := s.comparePassword(ctx, client, guess(s.settings.LoginFailuresPerAccount, passwordOfLink, t.EmailNorm), "password", password, hashes...)
	all[which].ID = t.ID // it is the link that is used
	return all[which], err
}

func (s *Service) completeRegistration(ctx context.Context, t models.OneTimeToken, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.makeUser(ctx, t, client)
	if errors.Is(err, models.ErrNotFound) || errors.Is(err, models.ErrConflict) {
		// Used a moment ago, perhaps by a twin of this request: then what follows is a login. Otherwise it fails there.
		return nil
	}
	return storeError(err)
}

// makeUser: the wished username is given if it is free, else a generated one.
func (s *Service) makeUser(ctx context.Context, t models.OneTimeToken, client Client) error {
	now := s.now()
	if t.UserID != 0 {
		return s.store.VerifyUser(ctx, t, now, s.event(models.EventEmailVerified, t.UserID, client, ""))
	}
	u := models.User{Email: t.Email, EmailNorm: t.EmailNorm, FirstName: t.FirstName, LastName: t.LastName, Locale: t.Locale, Password: t.Password,
		IsActive: true, EmailVerifiedAt: &now, DateJoined: now, SessionEpoch: newEpoch()}
	registered := s.event(models.EventRegistered, 0, client, "")
	if norm, ok := newUsername(t.Username); ok {
		u.Username, u.UsernameNorm = t.Username, norm
		if err := s.store.CompleteRegistration(ctx, t, &u, now, registered); !errors.Is(err, models.ErrConflict) {
			return err
		}
		u.Username, u.UsernameNorm = "", ""
	}
	return s.store.CompleteRegistration(ctx, t, withUsername(&u), now, registered)
}

func hashOf(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}
