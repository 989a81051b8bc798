package accounts

import (
	"cmp"
	"context"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// UserChange is a staff member's change of a user; nil leaves a member as it is.
type UserChange struct {
	ProfileChange
	Email                          *string
	IsActive, IsStaff, IsSuperuser *bool
	IfVersion                      func(version int64) bool // reports whether to change a user of that version; nil: any
}

// changeManageable makes a guarded change of a user whom the principal may change. The permission is
// checked at each read.
func (s adminOperations) changeManageable(ctx context.Context, p Principal, id int64, change func(models.User) error) error {
	return retryAsRead(func() (models.User, error) { return s.manageableUser(ctx, p, id) }, change)
}

// updateRequest is a staff member's request to change a user.
type updateRequest struct {
	UserChange
	principal Principal
	client    Client
}

// userUpdate is the plan of a requested change: the user before and after it, the patch between the
// two, and its events.
type userUpdate struct {
	request       updateRequest
	before, after models.User
	patch         models.UserPatch
	emailChange   *emailChange // a pending change, which the new mailbox must confirm; or nil
	events        []audit.Event
}

// isEmpty reports whether the user already has every requested value.
func (plan *userUpdate) isEmpty() bool { return plan.patch == (models.UserPatch{}) }

// lockAndPlan locks the user in the transaction and returns the plan for the row as it is now. A
// thief with a stolen session who saves the profile in a loop must not be able to keep staff from
// deactivating the account, so a change of the profile only leads to a new plan. Errors:
// models.ErrNotFound if the user must be read again; those of planUpdate.
func (s adminOperations) lockAndPlan(ctx context.Context, tx *models.Tx, plan userUpdate) (userUpdate, error) {
	u := plan.before
	// This locks other users too. Every transaction does so before it locks the user that it changes:
	// two transactions could otherwise deadlock.
	if isFalse(plan.patch.IsActive) || isFalse(plan.patch.IsSuperuser) {
		if err := requireOtherSuperuser(tx, u); err != nil {
			return plan, err
		}
	}
	now, err := lockUnchanged(tx, u, func(before, now models.User) bool {
		return isInSameEpoch(before, now) && hasSameRoles(before, now) && (plan.request.Email == nil || before.Version == now.Version)
	})
	if err != nil || now.Version == u.Version {
		return plan, err
	}
	// The request has no new address here. Planning one would query the store during the transaction.
	return s.planUpdate(ctx, now, plan.request)
}

// apply makes the update. A superuser who grants a role to themself keeps the session of the
// request.
func (plan *userUpdate) apply(tx *models.Tx) error {
	p, u := plan.request.principal, plan.before
	if p.User.ID == u.ID && grantsRole(u, plan.patch) && plan.patch.IsActive == nil {
		if err := tx.MoveSession(p.Session.ID, u); err != nil {
			return err
		}
	}
	if err := changeUser(tx, u, plan.patch, plan.events...); err != nil || plan.emailChange == nil {
		return err
	}
	if err := ratelimit.Count(tx, plan.emailChange.limits...); err != nil {
		return err
	}
	_, err := plan.emailChange.start(tx, models.RateLimitUse{}) // the limits of a staff member's mails are among those above
	return err
}

// planUpdate returns the parts of a requested change that differ from the user's present state.
// Errors: PreconditionFailed, RoleRequired, EmailUnverified, ValidationFailed, UsernameTaken,
// EmailTaken, ServiceUnavailable.
func (s adminOperations) planUpdate(ctx context.Context, u models.User, r updateRequest) (userUpdate, error) {
	p, c := r.principal, r.UserChange
	plan := userUpdate{request: r, before: u, after: c.apply(u)}
	if c.IfVersion != nil && !c.IfVersion(u.Version) {
		return plan, problem.New(problem.PreconditionFailed)
	}
	plan.after.Email = *cmp.Or(c.Email, &u.Email)
	plan.after.IsActive, plan.after.IsStaff, plan.after.IsSuperuser = *cmp.Or(c.IsActive, &u.IsActive), *cmp.Or(c.IsStaff, &u.IsStaff), *cmp.Or(c.IsSuperuser, &u.IsSuperuser)
	add := func(kind models.EventKind, changes models.Changes, detail string) {
		plan.events = append(plan.events, audit.Event{Kind: kind, UserID: u.ID, StaffID: p.User.ID, Client: r.client, Changes: changes, Detail: detail})
	}
	var names error
	plan.patch, names = c.onlyChanged(u).patch(u)
	if err := plan.planRoles(add); err != nil {
		return plan, err
	}
	plan.addProfileEvents(add)
	var email error
	if plan.after.Email != u.Email {
		email = s.planEmail(ctx, &plan)
		add(models.EventEmailChangeRequested, nil, "to "+mail.Mask(plan.after.Email))
	}
	if err := problem.Join(names, email); err != nil {
		return plan, err
	}
	plan.planActive(add)
	return plan, nil
}

// planRoles plans a change of the user's roles.
func (plan *userUpdate) planRoles(add addEvent) error {
	p, u := plan.request.principal, plan.before
	changes := audit.RoleChanges(u, plan.after)
	if len(changes) == 0 {
		return nil
	}
	if !p.User.IsSuperuser {
		return problem.New(problem.RoleRequired)
	}
	plan.patch.IsStaff, plan.patch.IsSuperuser = &plan.after.IsStaff, &plan.after.IsSuperuser
	if err := checkGrant(u, plan.patch); err != nil {
		return err
	}
	add(models.EventRolesChanged, changes, "")
	return nil
}

// checkGrant returns EmailUnverified if a change gives a role to a user whose address is not
// verified. The threat: where verification is optional, a stranger can have signed up with a
// colleague's address, and would become staff. An invited user who has not signed in yet has no
// password, so only the mailbox can use that account.
func checkGrant(u models.User, p models.UserPatch) error {
	if grantsRole(u, p) && u.EmailVerifiedAt == nil && u.Password != "" {
		return problem.New(problem.EmailUnverified)
	}
	return nil
}

// planActive plans an activation or a deactivation.
func (plan *userUpdate) planActive(add addEvent) {
	if plan.after.IsActive == plan.before.IsActive {
		return
	}
	kind := models.EventDeactivated
	if plan.after.IsActive {
		kind = models.EventActivated
	}
	add(kind, audit.ActiveChange(plan.before.IsActive, plan.after.IsActive), "")
	plan.patch.IsActive = &plan.after.IsActive
}

// addEvent adds an event to an update.
type addEvent = func(kind models.EventKind, changes models.Changes, detail string)

// planEmail plans a change of address. It takes effect when the new mailbox confirms it.
//
// If staff could put an address into force, a staff member could take an account over by a password
// reset, and an unverified address would look verified. Only a superuser may start a change for a
// user who may have used the account, because the owner of the new mailbox can take it over.
func (s adminOperations) planEmail(ctx context.Context, plan *userUpdate) error {
	p, u := plan.request.principal, plan.before
	if mayHaveSignedIn(u) && !p.User.IsSuperuser {
		return problem.New(problem.RoleRequired)
	}
	norm, err := parseNewEmail(plan.after.Email)
	if err != nil {
		return err
	}
	if taken, err := s.isTaken(ctx, s.store.UserByEmail, norm, u.ID); err != nil {
		return err
	} else if taken {
		return s.conflictOfEmail(ctx, u, plan.patch.UsernameNorm)
	}
	change := s.newEmailChange(u, plan.after.Email, norm, plan.request.client)
	change.token.ActorID = &p.User.ID
	change.limits = append(change.limits, s.staffMailLimits(p, norm)...)
	plan.emailChange, plan.patch.NewVersion = &change, true // users and staff see the pending address
	return nil
}

// mayHaveSignedIn reports whether the account may have been used. A user with a password may be
// about to sign in. The last login of an imported user proves nothing, because simplejwt leaves it
// empty.
func mayHaveSignedIn(u models.User) bool {
	return u.LastLogin != nil || u.ImportedEpoch != nil || u.Password != ""
}

// conflictOfEmail returns the conflict of an address, and of the new username if another user has
// that too.
func (s userLookup) conflictOfEmail(ctx context.Context, u models.User, usernameNorm *string) error {
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

// addProfileEvents adds the events of a changed username, and of changed names or a changed language.
func (plan *userUpdate) addProfileEvents(add addEvent) {
	u := plan.before
	if changes := audit.UsernameChange(u, plan.after); len(changes) > 0 {
		add(models.EventUsernameChanged, changes, "")
	}
	if changes := audit.ProfileChanges(u, plan.after); len(changes) > 0 {
		add(models.EventProfileChanged, changes, "")
	}
}
