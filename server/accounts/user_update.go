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
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		if c.IfVersion != nil && !c.IfVersion(u.Version) {
			return problem.New(problem.PreconditionFailed)
		}
		update, err := s.planUpdate(ctx, p, u, c, client)
		if err != nil || update.patch == (models.UserPatch{}) {
			return err
		}
		err = s.forStaff(p).Tx(ctx, func(tx *models.Tx) error { return update.apply(tx, p, u) })
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

// changeManageable makes a guarded change of a user whom the principal may change. The permission is
// checked at each read.
func (s *Service) changeManageable(ctx context.Context, p Principal, id int64, change func(models.User) error) error {
	return retryAsRead(func() (models.User, error) { return s.manageableUser(ctx, p, id) }, change)
}

// userUpdate is a staff member's change of a user: what changes, and the user after it.
type userUpdate struct {
	patch       models.UserPatch
	emailChange *emailChange // a pending change, which the new mailbox must confirm; or nil
	after       models.User
	events      []models.Event
}

// apply makes the update. A superuser who grants a role to themself keeps the session of the
// request.
func (w *userUpdate) apply(tx *models.Tx, p Principal, u models.User) error {
	if p.User.ID == u.ID && grantsRole(u, w.patch) && w.patch.IsActive == nil {
		if err := tx.MoveSession(p.Session.ID, u); err != nil {
			return err
		}
	}
	if err := changeUser(tx, u, w.patch, w.events...); err != nil || w.emailChange == nil {
		return err
	}
	if err := tx.CountUses(w.emailChange.limits...); err != nil {
		return err
	}
	_, err := w.emailChange.start(tx, models.RateLimitUse{}) // the limits of a staff member's mails are among those above
	return err
}

// planUpdate returns the parts of a requested change that differ from the user's present state.
func (s *Service) planUpdate(ctx context.Context, p Principal, u models.User, c UserChange, client Client) (userUpdate, error) {
	w := userUpdate{after: u}
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

// roles plans a change of the user's roles.
func (w *userUpdate) roles(p Principal, u models.User, say sayEvent) error {
	changes := roleChanges(u, w.after)
	if len(changes) == 0 {
		return nil
	}
	if !p.User.IsSuperuser {
		return problem.New(problem.RoleRequired)
	}
	w.patch.IsStaff, w.patch.IsSuperuser = &w.after.IsStaff, &w.after.IsSuperuser
	// Where verification is optional, a stranger can have signed up with a colleague's address, and
	// would become staff. An invited user who has not signed in yet has no password, so only the
	// mailbox can use that account.
	if grantsRole(u, w.patch) && u.EmailVerifiedAt == nil && credentials.IsUsable(u.Password) {
		return problem.New(problem.EmailUnverified)
	}
	say(models.EventRolesChanged, changes, "")
	return nil
}

// activity plans an activation or a deactivation.
func (w *userUpdate) activity(u models.User, say sayEvent) {
	if w.after.IsActive == u.IsActive {
		return
	}
	kind := models.EventDeactivated
	if w.after.IsActive {
		kind = models.EventActivated
	}
	say(kind, activeChange(u.IsActive, w.after.IsActive), "")
	w.patch.IsActive = &w.after.IsActive
}

// sayEvent adds an event to a change.
type sayEvent = func(kind models.EventKind, changes models.Changes, detail string)

// patchEmail starts a change of address. It takes effect when the new mailbox confirms it.
//
// If staff could put an address into force, a staff member could take an account over by a password
// reset, and an unverified address would look verified. Only a superuser may start a change for a
// user who may have used the account, because the owner of the new mailbox can take it over.
func (s *Service) patchEmail(ctx context.Context, p Principal, u models.User, w *userUpdate, client Client) error {
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
		return s.conflictOfEmail(ctx, u, w.patch.UsernameNorm)
	}
	change := s.newEmailChange(u, w.after.Email, norm, client)
	change.token.ActorID = &p.User.ID
	change.limits = append(change.limits, s.staffMailLimits(p, norm)...)
	w.emailChange, w.patch.NewVersion = &change, true // users and staff see the pending address
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
func (w *userUpdate) names(u models.User, say sayEvent) error {
	return problem.Join(w.username(u, say), w.personal(u, say))
}

func (w *userUpdate) username(u models.User, say sayEvent) (err error) {
	if w.after.Username == u.Username {
		return nil
	}
	if w.after.UsernameNorm, err = newName(w.after.Username); err != nil {
		return err
	}
	w.patch.Username, w.patch.UsernameNorm = &w.after.Username, &w.after.UsernameNorm
	say(models.EventUsernameChanged, usernameChange(u, w.after), "")
	return nil
}

func (w *userUpdate) personal(u models.User, say sayEvent) error {
	if w.after.FirstName != u.FirstName || w.after.LastName != u.LastName {
		if err := newNames(changed(u.FirstName, &w.after.FirstName), changed(u.LastName, &w.after.LastName)); err != nil {
			return err
		}
		w.patch.FirstName, w.patch.LastName = &w.after.FirstName, &w.after.LastName
	}
	if w.after.Locale != u.Locale {
		w.patch.Locale = &w.after.Locale
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
