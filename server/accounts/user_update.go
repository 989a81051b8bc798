package accounts

import (
	"context"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
)

// UserChange is a staff member's change of a user; nil leaves a member as it is.
type UserChange struct {
	Email, Username, FirstName, LastName, Locale *string
	IsActive, IsStaff, IsSuperuser               *bool
	IfVersion                                    func(version int64) bool // reports whether to change a user of that version; nil: any
}

// UpdateUser changes a user. A member that already has the requested value is no change and leaves
// no event. Errors: ResourceNotFound, RoleRequired, ValidationFailed, UsernameTaken, EmailTaken,
// SuperuserLast, EmailUnverified, SessionRevoked, RateLimited, ServiceUnavailable.
func (s *Service) UpdateUser(ctx context.Context, p Principal, id int64, c UserChange, client Client) (UserDetail, error) {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.change(ctx, p, id, func(u models.User) error {
		if c.IfVersion != nil && !c.IfVersion(u.Version) {
			return problem.New(problem.PreconditionFailed)
		}
		w, err := s.newUserPatch(ctx, p, u, c, client)
		if err != nil {
			return err
		}
		err = s.forStaff(p).ChangeUser(ctx, u, w.change, w.events...)
		if errors.Is(err, models.ErrConflict) { // the address is not changed here
			return problem.UsernameConflict()
		}
		return s.mailLimitError(err)
	})
	if err != nil {
		return UserDetail{}, err
	}
	s.wakeMail()
	return s.GetUser(ctx, id)
}

// change makes a guarded change of a user whom the principal may change. The permission is checked
// at each read.
func (s *Service) change(ctx context.Context, p Principal, id int64, change func(models.User) error) error {
	return guarded(func() (models.User, error) { return s.manageableUser(ctx, p, id) }, change)
}

// userPatch is a change of a user, with its security events.
type userPatch struct {
	change models.UserChange
	after  models.User
	events []models.Event
}

// newUserPatch returns the parts of a requested change that differ from the user's present state.
func (s *Service) newUserPatch(ctx context.Context, p Principal, u models.User, c UserChange, client Client) (userPatch, error) {
	w := userPatch{after: u}
	w.after.Username, w.after.Email = or(c.Username, u.Username), or(c.Email, u.Email)
	w.after.FirstName, w.after.LastName, w.after.Locale = or(c.FirstName, u.FirstName), or(c.LastName, u.LastName), or(c.Locale, u.Locale)
	w.after.IsActive, w.after.IsStaff, w.after.IsSuperuser = or(c.IsActive, u.IsActive), or(c.IsStaff, u.IsStaff), or(c.IsSuperuser, u.IsSuperuser)
	say := func(kind models.EventKind, changes models.Changes, detail string) {
		w.events = append(w.events, changing(s.byStaff(p, kind, u.ID, client, detail), changes))
	}
	if err := w.roles(p, u, say); err != nil {
		return w, err
	}
	names := w.names(u, say)
	var email error
	if w.after.Email != u.Email {
		email = s.patchEmail(ctx, p, u, &w, client)
		say(models.EventEmailChangeRequested, nil, "to "+mail.Mask(w.after.Email))
	}
	if err := problem.Join(names, email); err != nil {
		return w, err
	}
	w.activity(u, say)
	return w, nil
}

// roles plans a change of the user's roles. A granted role ends the user's sessions: a session
// stolen from an ordinary user must not become a superuser's. It also cancels a pending change of
// address, which a staff member may have started while the user was an ordinary one.
func (w *userPatch) roles(p Principal, u models.User, say sayEvent) error {
	changes := roleChanges(u, w.after)
	if len(changes) == 0 {
		return nil
	}
	if !p.User.IsSuperuser {
		return problem.New(problem.RoleRequired)
	}
	more := w.after.IsStaff && !u.IsStaff || w.after.IsSuperuser && !u.IsSuperuser
	// Where verification is optional, a stranger can have signed up with a colleague's address, and
	// would become staff. An invited user who has not signed in yet has no password, so only the
	// mailbox can use that account.
	if more && u.EmailVerifiedAt == nil && credentials.IsUsable(u.Password) {
		return problem.New(problem.EmailUnverified)
	}
	w.change.IsStaff, w.change.IsSuperuser = &w.after.IsStaff, &w.after.IsSuperuser
	w.change.RevokeAllSessions, w.change.EndEmailChanges = more, more
	say(models.EventRolesChanged, changes, "")
	return nil
}

// activity plans an activation or a deactivation. Each ends every session of the user: deactivation
// takes effect at once, and activation revives no session.
func (w *userPatch) activity(u models.User, say sayEvent) {
	if w.after.IsActive == u.IsActive {
		return
	}
	kind := models.EventDeactivated
	if w.after.IsActive {
		kind = models.EventActivated
	}
	say(kind, activeChange(u.IsActive, w.after.IsActive), "")
	w.change.IsActive, w.change.RevokeAllSessions = &w.after.IsActive, true
}

// sayEvent adds an event to a change.
type sayEvent = func(kind models.EventKind, changes models.Changes, detail string)

// patchEmail starts a change of address. It takes effect when the new mailbox confirms it.
//
// If staff could put an address into force, a staff member could take an account over by a password
// reset, and an unverified address would look verified. Only a superuser may start a change for a
// user who may have used the account, because the owner of the new mailbox can take it over.
func (s *Service) patchEmail(ctx context.Context, p Principal, u models.User, w *userPatch, client Client) error {
	if mayHaveSignedIn(u) && !p.User.IsSuperuser {
		return problem.New(problem.RoleRequired)
	}
	norm, err := newEmail(w.after.Email)
	if err != nil {
		return err
	}
	if taken, err := s.isTaken(ctx, s.store.UserByEmail, norm, u.ID); err != nil {
		return err
	} else if taken {
		return s.conflictOfEmail(ctx, u, w.change.UsernameNorm)
	}
	c := s.newEmailChange(u, w.after.Email, norm, client)
	c.token.ActorID = &p.User.ID
	c.limits = append(c.limits, s.staffMailLimits(p, norm)...)
	w.change.EmailChange = &models.EmailChange{Token: c.token, Mail: c.link, Notices: c.notices, Limits: c.limits}
	return nil
}

// mayHaveSignedIn reports whether the account may have been used. A user with a password may be
// about to sign in. The last login of an imported user proves nothing, because simplejwt leaves it
// empty.
func mayHaveSignedIn(u models.User) bool {
	return u.LastLogin != nil || u.ImportedEpoch != nil || credentials.IsUsable(u.Password)
}

// conflictOfEmail returns the conflict of an address, and of the new username if another user has
// that too.
func (s *Service) conflictOfEmail(ctx context.Context, u models.User, usernameNorm *string) error {
	if usernameNorm == nil {
		return problem.EmailConflict()
	}
	taken, err := s.isTaken(ctx, s.store.UserByUsername, *usernameNorm, u.ID)
	if err != nil {
		return err
	}
	if taken {
		return problem.Join(problem.UsernameConflict(), problem.EmailConflict())
	}
	return problem.EmailConflict()
}

// names plans the changes of the username, the names and the language. Values that change must be
// well-formed; an imported value may stay as it is.
func (w *userPatch) names(u models.User, say sayEvent) error {
	return problem.Join(w.username(u, say), w.personal(u, say))
}

func (w *userPatch) username(u models.User, say sayEvent) (err error) {
	if w.after.Username == u.Username {
		return nil
	}
	if w.after.UsernameNorm, err = newName(w.after.Username); err != nil {
		return err
	}
	w.change.Username, w.change.UsernameNorm = &w.after.Username, &w.after.UsernameNorm
	say(models.EventUsernameChanged, usernameChange(u, w.after), "")
	return nil
}

func (w *userPatch) personal(u models.User, say sayEvent) error {
	if w.after.FirstName != u.FirstName || w.after.LastName != u.LastName {
		if err := newNames(changed(u.FirstName, &w.after.FirstName), changed(u.LastName, &w.after.LastName)); err != nil {
			return err
		}
		w.change.FirstName, w.change.LastName = &w.after.FirstName, &w.after.LastName
	}
	if w.after.Locale != u.Locale {
		w.change.Locale = &w.after.Locale
	}
	if changes := profileChanges(u, w.after); len(changes) > 0 {
		say(models.EventProfileChanged, changes, "")
	}
	return nil
}

func or[T any](wanted *T, present T) T {
	if wanted != nil {
		return *wanted
	}
	return present
}
