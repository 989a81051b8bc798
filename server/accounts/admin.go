package accounts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
)

// What members of staff do. That the principal is one has been judged before (Permit); here it is judged whom a member
// of staff may change: ordinary users, and only a superuser another member of staff.

const (
	invitationLife = 72 * time.Hour
	maxWords       = 5 // of a search; each is compared with every user
)

// UserDetail is a user as staff sees it.
type UserDetail struct {
	User         models.User
	HasPassword  bool
	Throttled    bool
	PendingEmail string // the address that a change waits for confirmation at, or empty
}

// FindUsers are the users that fit, and the place after which the next page begins, or nil where there is none. Text is
// cut into words, each of which must be a part of the username, the address or a name. Errors: Unavailable.
func (s *Service) FindUsers(ctx context.Context, text string, q models.UserQuery) (users []models.User, next *models.UserPlace, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if q.Words = strings.Fields(text); len(q.Words) > maxWords {
		q.Words = append(q.Words[:maxWords-1], strings.Join(q.Words[maxWords-1:], " "))
	}
	limit := q.Limit
	q.Limit++
	if users, err = s.store.FindUsers(ctx, q); err != nil {
		return nil, nil, storeError(err)
	}
	if len(users) > limit {
		users = users[:limit]
		place := q.Sort.PlaceOf(users[limit-1])
		next = &place
	}
	return users, next, nil
}

// User is one user. Errors: NotFound, Unavailable.
func (s *Service) User(ctx context.Context, id int64) (UserDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := s.userByID(ctx, id)
	if err != nil {
		return UserDetail{}, err
	}
	return s.detail(ctx, u)
}

func (s *Service) detail(ctx context.Context, u models.User) (UserDetail, error) {
	limit := s.settings.LoginFailuresPerAccount
	throttled, err := s.store.UsedUp(ctx, s.now(), bounded([]models.Spending{
		use(limit, loginOfAccount, u.UsernameNorm), use(limit, loginOfAccount, u.EmailNorm), use(limit, passwordOfUser, subjectOf(u)),
		use(s.settings.PasswordsPerUser, passwordsOfUser, subjectOf(u)),
	})...)
	if err != nil {
		return UserDetail{}, storeError(err)
	}
	change, err := s.store.PendingEmailChange(ctx, u.ID, s.now())
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return UserDetail{}, storeError(err)
	}
	return UserDetail{User: u, HasPassword: credentials.IsUsable(u.Password), Throttled: throttled, PendingEmail: change.Email}, nil
}

func (s *Service) userByID(ctx context.Context, id int64) (models.User, error) {
	u, err := s.store.UserByID(ctx, id)
	if errors.Is(err, models.ErrNotFound) {
		return u, refuse(NotFound)
	}
	return u, storeError(err)
}

// managed is a user whom the principal may change. Errors: NotFound, RoleRequired, Unavailable.
func (s *Service) managed(ctx context.Context, p Principal, id int64) (models.User, error) {
	u, err := s.userByID(ctx, id)
	if err == nil && (u.IsStaff || u.IsSuperuser) && !p.User.IsSuperuser {
		return u, refuse(RoleRequired)
	}
	return u, err
}

// byStaff is an event that names who did it.
func (s *Service) byStaff(p Principal, kind models.EventKind, userID int64, client Client, detail string) models.Event {
	e := s.event(kind, userID, client, detail)
	e.ActorID = &p.User.ID
	return e
}

// Invitation is a user to be invited; all but the address may be empty.
type Invitation struct {
	Email, Username, FirstName, LastName, Locale string
	IsStaff, IsSuperuser                         bool
}

// Invite makes an active user without a password, and sends a mail by which the user sets one: only the user ever knows
// it. Errors: RoleRequired, ValidationFailed, UsernameTaken, EmailTaken, SessionRevoked, RateLimited, Unavailable.
func (s *Service) Invite(ctx context.Context, p Principal, in Invitation, client Client) (UserDetail, error) {
	if (in.IsStaff || in.IsSuperuser) && !p.User.IsSuperuser {
		return UserDetail{}, refuse(RoleRequired)
	}
	u := models.User{Username: in.Username, Email: in.Email, FirstName: in.FirstName, LastName: in.LastName, Locale: in.Locale,
		IsActive: true, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser, DateJoined: s.now(), SessionEpoch: newEpoch(), Password: credentials.Unusable}
	if err := newIdentity(&u); err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	withUsername(&u)
	m := s.mailTo(u, mail.Invitation, client)
	m.ExpiresAt = m.CreatedAt.Add(invitationLife)
	err := s.forStaff(p).AddInvitation(ctx, &u, m, s.staffMailLimits(p, u.EmailNorm), s.byStaff(p, models.EventInvited, 0, client, rolesOf(u)))
	if errors.Is(err, models.ErrConflict) {
		return UserDetail{}, s.taken(ctx, u)
	}
	if err := resolved(err, func() bool { return s.invited(ctx, &u) }); err != nil {
		return UserDetail{}, s.limited(err)
	}
	s.wakeMail()
	return s.detail(ctx, u)
}

// invited reports whether the user of an invitation is there, and reads the user if so. The random epoch tells it from
// one of the same address that another request has made.
func (s *Service) invited(ctx context.Context, u *models.User) bool {
	found, err := s.store.UserByEmail(ctx, u.EmailNorm)
	if err != nil || found.SessionEpoch != u.SessionEpoch {
		return false
	}
	*u = found
	return true
}

// UserChange is what a member of staff changes; nil leaves a member as it is.
type UserChange struct {
	Email, Username, FirstName, LastName, Locale *string
	IsActive, IsStaff, IsSuperuser               *bool
}

// UpdateUser changes a user. What is as it should be already is no change, and leaves no event.
// Errors: NotFound, RoleRequired, ValidationFailed, UsernameTaken, EmailTaken, LastSuperuser,
// EmailUnverified, SessionRevoked, RateLimited, Unavailable.
func (s *Service) UpdateUser(ctx context.Context, p Principal, id int64, c UserChange, client Client) (UserDetail, error) {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.change(ctx, p, id, func(u models.User) error {
		w, err := s.wishOf(ctx, p, u, c, client)
		if err != nil {
			return err
		}
		err = s.forStaff(p).ChangeUser(ctx, u, w.change, w.events...)
		if errors.Is(err, models.ErrConflict) { // the address is not changed here
			return refuse(UsernameTaken)
		}
		return s.limitedOr(err)
	})
	if err != nil {
		return UserDetail{}, err
	}
	s.wakeMail()
	return s.User(ctx, id)
}

// change makes a guarded change of a user whom the principal may change, which is judged by each reading.
func (s *Service) change(ctx context.Context, p Principal, id int64, change func(models.User) error) error {
	return guarded(func() (models.User, error) { return s.managed(ctx, p, id) }, change)
}

// wish is a change of a user, with what is to be said about it.
type wish struct {
	change models.UserChange
	after  models.User
	events []models.Event
}

// wishOf finds out what of a change is one.
func (s *Service) wishOf(ctx context.Context, p Principal, u models.User, c UserChange, client Client) (wish, error) {
	w := wish{after: u}
	w.after.Username, w.after.Email = or(c.Username, u.Username), or(c.Email, u.Email)
	w.after.FirstName, w.after.LastName, w.after.Locale = or(c.FirstName, u.FirstName), or(c.LastName, u.LastName), or(c.Locale, u.Locale)
	w.after.IsActive, w.after.IsStaff, w.after.IsSuperuser = or(c.IsActive, u.IsActive), or(c.IsStaff, u.IsStaff), or(c.IsSuperuser, u.IsSuperuser)
	say := func(kind models.EventKind, format string, args ...any) {
		w.events = append(w.events, s.byStaff(p, kind, u.ID, client, fmt.Sprintf(format, args...)))
	}
	if err := w.roles(p, u, say); err != nil {
		return w, err
	}
	if err := w.names(u, say); err != nil {
		return w, err
	}
	if w.after.Email != u.Email {
		if err := s.wishEmail(ctx, p, u, &w, client); err != nil {
			return w, err
		}
		say(models.EventEmailChangeRequested, "to %s", mail.Mask(w.after.Email))
	}
	w.activity(u, say)
	return w, nil
}

// roles changes what the user may do. A new role ends the user's sessions: one that was stolen from an ordinary user
// must not become a superuser's. It also ends a pending change of the address, which a staff member may have started
// while the user was an ordinary one.
func (w *wish) roles(p Principal, u models.User, say sayEvent) error {
	if rolesOf(w.after) == rolesOf(u) {
		return nil
	}
	if !p.User.IsSuperuser {
		return refuse(RoleRequired)
	}
	more := w.after.IsStaff && !u.IsStaff || w.after.IsSuperuser && !u.IsSuperuser
	// Where addresses need not be verified, a stranger can have signed up with a colleague's, and would become staff.
	// An invited user who has not signed in yet has no password, so only the mailbox can use that account.
	if more && u.EmailVerifiedAt == nil && credentials.IsUsable(u.Password) {
		return refuse(EmailUnverified)
	}
	w.change.IsStaff, w.change.IsSuperuser = &w.after.IsStaff, &w.after.IsSuperuser
	w.change.EndSessions, w.change.EndEmailChanges = more, more
	say(models.EventRolesChanged, "%s to %s", rolesOf(u), rolesOf(w.after))
	return nil
}

// activity ends every session, whichever way it changes: deactivation does so at once, and activation revives none.
func (w *wish) activity(u models.User, say sayEvent) {
	switch {
	case w.after.IsActive == u.IsActive:
		return
	case w.after.IsActive:
		say(models.EventActivated, "")
	default:
		say(models.EventDeactivated, "")
	}
	w.change.IsActive, w.change.EndSessions = &w.after.IsActive, true
}

// sayEvent adds an event to a change.
type sayEvent = func(kind models.EventKind, format string, args ...any)

// wishEmail starts a change of the address, which takes effect when the new mailbox confirms it.
//
// An address that staff could put into force would let a staff member take an account over by a password reset, and
// would give an address that is unproved the look of a verified one. Only a superuser may start a change for a user who
// may have used the account, because the owner of the new mailbox can take it over.
func (s *Service) wishEmail(ctx context.Context, p Principal, u models.User, w *wish, client Client) error {
	if mayHaveSignedIn(u) && !p.User.IsSuperuser {
		return refuse(RoleRequired)
	}
	norm, err := newEmail(w.after.Email)
	if err != nil {
		return err
	}
	other, err := s.store.UserByEmail(ctx, norm)
	switch {
	case err == nil && other.ID != u.ID:
		return refuse(EmailTaken)
	case err != nil && !errors.Is(err, models.ErrNotFound):
		return storeError(err)
	}
	change := s.emailChange(u, w.after.Email, norm, client)
	change.Limits = append(change.Limits, s.staffMailLimits(p, norm)...)
	w.change.EmailChange = &change
	return nil
}

// mayHaveSignedIn reports whether the account can have been in use. A user with a password may be
// about to sign in. The last login of an imported user says nothing, since simplejwt leaves it
// empty.
func mayHaveSignedIn(u models.User) bool {
	return u.LastLogin != nil || u.ImportedEpoch != nil || credentials.IsUsable(u.Password)
}

// names are the members that people are called by. Those that change must be well-formed; what came from elsewhere may
// stay as it is.
func (w *wish) names(u models.User, say sayEvent) (err error) {
	if w.after.Username != u.Username {
		if w.after.UsernameNorm, err = newName(w.after.Username); err != nil {
			return err
		}
		w.change.Username, w.change.UsernameNorm = &w.after.Username, &w.after.UsernameNorm
		say(models.EventUsernameChanged, "%s to %s", short(u.Username), short(w.after.Username))
	}
	if w.after.FirstName != u.FirstName || w.after.LastName != u.LastName {
		if err := newNames(&w.after.FirstName, &w.after.LastName); err != nil {
			return err
		}
		w.change.FirstName, w.change.LastName = &w.after.FirstName, &w.after.LastName
		say(models.EventNamesChanged, "%s to %s", short(fullName(u)), short(fullName(w.after)))
	}
	if w.after.Locale != u.Locale {
		w.change.Locale = &w.after.Locale
		say(models.EventNamesChanged, "language %s to %s", u.Locale, w.after.Locale)
	}
	return nil
}

func or[T any](wanted *T, present T) T {
	if wanted != nil {
		return *wanted
	}
	return present
}

// fullName is quoted: it may be empty, and hold any words.
func fullName(u models.User) string {
	return strconv.Quote(strings.TrimSpace(u.FirstName + " " + u.LastName))
}

const maxShort = 100 // two of them fit into an event

func short(s string) string { return firstOf(s, maxShort) }

// rolesOf names the roles of a user.
func rolesOf(u models.User) string {
	switch {
	case u.IsStaff && u.IsSuperuser:
		return "staff and superuser"
	case u.IsSuperuser:
		return "superuser"
	case u.IsStaff:
		return "staff"
	}
	return "no role"
}

// DeleteUser removes a user for good, and tells the address so. Errors: NotFound, RoleRequired, LastSuperuser,
// Unavailable.
func (s *Service) DeleteUser(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.change(ctx, p, id, func(u models.User) error {
		err := s.forStaff(p).DeleteUser(ctx, u, s.notices(u, mail.AccountDeleted, client), s.byStaff(p, models.EventDeleted, id, client, rolesOf(u)))
		return resolved(err, func() bool { return s.isGone(ctx, id) })
	})
	if err == nil {
		s.wakeMail()
	}
	return err
}

// isGone reports whether a user who was there has been deleted.
func (s *Service) isGone(ctx context.Context, id int64) bool {
	_, err := s.store.UserByID(ctx, id)
	return errors.Is(err, models.ErrNotFound)
}

// SendPasswordReset sends a user the link of a forgotten password, or the invitation once more to one who has none yet.
// Errors: NotFound, RoleRequired, UserUnreachable, RateLimited, Unavailable.
func (s *Service) SendPasswordReset(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.change(ctx, p, id, func(u models.User) error {
		if !u.IsActive || u.Email == "" {
			return refuse(UserUnreachable)
		}
		kind, life := mail.Reset, s.settings.ResetTTL
		if !credentials.IsUsable(u.Password) {
			kind, life = mail.Invitation, invitationLife
		}
		m := s.mailTo(u, kind, client)
		m.ExpiresAt = m.CreatedAt.Add(life)
		err := s.forStaff(p).AddUserMail(ctx, u, m, s.staffMailLimits(p, u.EmailNorm), s.byStaff(p, models.EventPasswordResetSent, id, client, string(kind)))
		return s.limitedOr(err)
	})
	if err == nil {
		s.wakeMail()
	}
	return err
}

// staffMailLimits returns the uses of a mail that a staff member has sent to an address. They are spent
// in the transaction that queues the mail.
//
// The address has a limit of its own for such mails: a stranger who asks for resets must not keep the
// help back. The staff member has one too, since a stolen staff account could send mails from the
// operator's domain to any number of addresses.
func (s *Service) staffMailLimits(p Principal, emailNorm string) []models.Spending {
	recipient := Budget{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return []models.Spending{
		use(recipient, mailsTo+"staff", emailNorm), use(s.settings.MailsPerStaff, mailsOfStaff, subjectOf(p.User)),
	}
}

// limitedOr leaves all errors but that of a budget as they are.
func (s *Service) limitedOr(err error) error {
	var over *models.OverBudget
	if errors.As(err, &over) {
		return s.rateLimited(over)
	}
	return err
}

// Unthrottle lets a user log in again whose budget of wrong passwords somebody has used up.
// Errors: NotFound, RoleRequired, Unavailable.
func (s *Service) Unthrottle(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	return s.change(ctx, p, id, func(u models.User) error {
		budgets := ownBudgets(u)
		return s.forStaff(p).FillUp(ctx, u, budgets, s.byStaff(p, models.EventUnthrottled, id, client, ""))
	})
}

// ListUserSessions are the live sessions of a user, newest first. Errors: NotFound, Unavailable.
func (s *Service) ListUserSessions(ctx context.Context, id int64) ([]models.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := s.userByID(ctx, id)
	if err != nil || !u.IsActive {
		return nil, err
	}
	return s.sessionsOf(ctx, u)
}

// EndUserSessions ends every session of a user. Errors: NotFound, RoleRequired, Unavailable.
func (s *Service) EndUserSessions(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	return s.change(ctx, p, id, func(u models.User) error {
		if !u.IsActive { // there are none
			return nil
		}
		err := s.forStaff(p).EndSessions(ctx, id, u.SessionEpoch, s.byStaff(p, models.EventSessionsEnded, id, client, ""))
		return resolved(err, func() bool { return s.hasNextEpoch(ctx, u) })
	})
}

// EndUserSession ends one session of a user. NotFound: there is no such user, or the user has no such session.
// Errors: RoleRequired, Unavailable.
func (s *Service) EndUserSession(ctx context.Context, p Principal, id int64, session uuid.UUID, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	if _, err := s.managed(ctx, p, id); err != nil {
		return err
	}
	e := s.byStaff(p, models.EventSessionEnded, id, client, "")
	ended := models.ID(session)
	e.SessionID = &ended
	found, err := s.forStaff(p).Revoke(ctx, ended, id, s.now(), models.RevokedByStaff, e)
	if err == nil && !found {
		return refuse(NotFound)
	}
	return storeError(err)
}

// ListAllEvents are the newest events of all users that fit; next is what to give as Before for the next page, or zero.
// Errors: Unavailable.
func (s *Service) ListAllEvents(ctx context.Context, q models.EventQuery) (list []models.Event, next uuid.UUID, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return s.pageOfEvents(ctx, q)
}
