package accounts

import (
	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
)

// changeUser changes a user and records the events. Every change of a user by an operation goes
// through it, because it makes the further writes that a change implies:
//
//   - A new password, a new active state or a granted role revokes every session of the user.
//     Deactivation takes effect at once, and activation revives no session. A session stolen from an
//     ordinary user must not become a superuser's.
//   - A new password or a new active state ends the open links of the user, and a new address ends
//     all of them, because they were sent to the old one. The caller uses the token of its own
//     request first.
//   - A granted role cancels a pending change of the user's address, which a staff member may have
//     started while the user was an ordinary one.
//   - A new epoch, active state or role ends the changes of address that the user has started for
//     others as a staff member.
//
// Errors: SuperuserLast; those of [models.Tx.ChangeUser].
func changeUser(tx *models.Tx, u models.User, p models.UserPatch, events ...audit.Event) error {
	if isFalse(p.IsActive) || isFalse(p.IsSuperuser) {
		if err := requireOtherSuperuser(tx, u); err != nil {
			return err
		}
	}
	p.NextEpoch = p.NextEpoch || p.Password != nil || p.IsActive != nil || grantsRole(u, p)
	return runUntilError(
		func() error { return tx.ChangeUser(u, p) },
		func() error { return endLinks(tx, u, p) },
		func() error { return endEmailChanges(tx, u, p) },
		func() error { return audit.Record(tx, events...) },
	)
}

// endLinks invalidates the links that a change of a user makes obsolete. It also drops queued mails
// whose links do not exist yet, so that a thief's requests have no effect after the owner has
// recovered the account. A new password does not invalidate verification links, because they also
// require the password.
func endLinks(tx *models.Tx, u models.User, p models.UserPatch) error {
	if p.EmailNorm != nil {
		if err := tx.EndTokens(models.TokenFilter{UserID: u.ID}); err != nil {
			return err
		}
	}
	if p.Password == nil && p.IsActive == nil {
		return nil
	}
	if err := tx.EndTokens(models.TokenFilter{UserID: u.ID, ExceptPurpose: models.PurposeVerify}); err != nil {
		return err
	}
	return outbox.CancelLinks(tx, u.EmailNorm)
}

// endEmailChanges ends the pending changes of address that a change of a user makes invalid.
//
// Some of them may be those that a staff member has started for other users. A mailbox may confirm
// such a change days later. Without this, a superuser who is about to be removed could move another
// superuser's account to a mailbox of their own, and take over that account after the removal.
func endEmailChanges(tx *models.Tx, u models.User, p models.UserPatch) error {
	if grantsRole(u, p) {
		if err := tx.EndEmailChanges(models.EmailChanges{UserID: u.ID}); err != nil {
			return err
		}
	}
	if p.NextEpoch || p.IsActive != nil || p.IsStaff != nil || p.IsSuperuser != nil {
		return tx.EndEmailChanges(models.EmailChanges{ActorID: u.ID})
	}
	return nil
}

// grantsRole reports whether a change gives the user a role.
func grantsRole(u models.User, p models.UserPatch) bool {
	return !u.IsStaff && isTrue(p.IsStaff) || !u.IsSuperuser && isTrue(p.IsSuperuser)
}

func isTrue(value *bool) bool { return value != nil && *value }

func isFalse(value *bool) bool { return value != nil && !*value }

// requireOtherSuperuser returns SuperuserLast if u, who is about to lose the role, the active state
// or the account, is the last active superuser. An invited superuser without a password cannot
// manage the service yet and does not count.
func requireOtherSuperuser(tx *models.Tx, u models.User) error {
	if !u.IsSuperuser || !u.IsActive {
		return nil
	}
	if err := tx.LockSuperusers(); err != nil {
		return err
	}
	others, err := tx.CountSuperusersExcept(u)
	if err == nil && others == 0 {
		return problem.New(problem.SuperuserLast)
	}
	return err
}

// deleteUser removes a user and everything that belongs to the user, including mails to the address
// and registrations of it, and queues the notices. The id is never used again. The requests of other
// users, such as a change to this address, stay. So do the events that staff members caused, so that
// a staff member cannot take over an account and then hide it by deleting the account. Their details
// and changes are cleared, because they may contain the user's data. The id of an imported user is
// kept, so that another import does not restore the account.
//
// The guard of the deletion includes the epoch, which every new password changes: a deletion that
// was requested before the account was recovered must not take effect after the recovery. It
// includes the roles, because requireOtherSuperuser has not counted a user who became a superuser
// since u was read.
//
// Errors: SuperuserLast; those of [models.Tx.DeleteUser].
func deleteUser(tx *models.Tx, u models.User, notices []models.Mail, events ...audit.Event) error {
	return runUntilError(
		func() error { return requireOtherSuperuser(tx, u) },
		func() (err error) {
			u, err = lockUnchanged(tx, u, func(before, now models.User) bool { return isInSameEpoch(before, now) && hasSameRoles(before, now) })
			return err
		},
		func() error { return tx.DeleteUser(u) },
		func() error { return tx.DeleteRows(u, models.UserEvents) },
		func() error { return tx.ClearEvents(u.ID) },
		func() error { return tx.ForgetNetworks(u.UsernameNorm, u.EmailNorm) },
		func() error { return tx.EndEmailChanges(models.EmailChanges{ActorID: u.ID}) },
		func() error { return tx.DeleteRows(u, models.UserSessions, models.UserTokens, models.UserMails) },
		func() error { return keepImportedID(tx, u) },
		func() error { return audit.Record(tx, events...) },
		func() error { return tx.AddMails(notices...) },
	)
}

func keepImportedID(tx *models.Tx, u models.User) error {
	if u.ImportedEpoch == nil {
		return nil
	}
	return tx.AddToken(models.DeletedUser(u.ID, tx.Now()))
}

// resetLoginLimit resets the rate limits that keep a user from logging in; see ownRateLimits.
// Errors: models.ErrNotFound if the roles have changed since u was read, or the user is gone.
func resetLoginLimit(tx *models.Tx, u models.User, event audit.Event) error {
	return runUntilError(
		func() error { return lockWithoutChange(tx, u, hasSameRoles) },
		func() error { return tx.ResetRateLimits(ownRateLimits(u)...) },
		func() error { return audit.Record(tx, event) },
	)
}

// runUntilError calls the functions in order and stops at the first error.
func runUntilError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
