package accounts

import (
	"context"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/hosts"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
)

// operatorCommands implements the commands of the operator.
type operatorCommands struct {
	*core
	userLookup
	passwordChecks
}

// NewUser is a user that an operator adds: active, with a verified address.
type NewUser struct {
	Username, Email, FirstName, LastName string
	Password                             string
	Staff                                bool
	Superuser                            bool // and staff
}

// CreateUser adds a user. Errors: ValidationFailed, UsernameTaken, EmailTaken, ServiceUnavailable.
func (s operatorCommands) CreateUser(ctx context.Context, n NewUser) (models.User, error) {
	u, err := s.newUser(n)
	if err != nil {
		return u, err
	}
	if u.Password, err = s.hashPassword(ctx, hosts.Network{}, n.Password); err != nil {
		return u, hashError(err)
	}
	registered := audit.Event{Kind: models.EventRegistered, Changes: audit.GrantedRoles(u)}
	err = s.store.Tx(ctx, func(tx *models.Tx) error { return createUser(tx, &u, registered) })
	if errors.Is(err, models.ErrConflict) {
		return u, s.nameConflict(ctx, u)
	}
	return u, problem.FromStore(err)
}

func (s operatorCommands) newUser(n NewUser) (models.User, error) {
	now := s.now()
	u := models.User{
		Username: n.Username, Email: n.Email, FirstName: n.FirstName, LastName: n.LastName,
		IsActive: true, IsStaff: n.Staff || n.Superuser, IsSuperuser: n.Superuser, EmailVerifiedAt: &now, DateJoined: now, SessionEpoch: randomEpoch(),
	}
	var username error
	if n.Username == "" { // a generated one would surprise the operator
		username = problem.Invalid("username", "required")
	}
	identity := normalizeIdentity(&u) // first, because the password is compared with the names
	return u, problem.Join(username, identity, s.checkNewPassword(n.Password, u))
}

// SetPassword replaces a user's password and revokes all sessions of the user. Errors:
// ResourceNotFound, ValidationFailed, ServiceUnavailable.
func (s operatorCommands) SetPassword(ctx context.Context, username, password string) error {
	hash, err := s.hashPassword(ctx, hosts.Network{}, password)
	if err != nil {
		return hashError(err)
	}
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		if err := s.checkNewPassword(password, u); err != nil {
			return err
		}
		event := audit.Event{Kind: models.EventPasswordChanged, UserID: u.ID}
		return s.store.Tx(ctx, func(tx *models.Tx) error {
			now, err := lockUnchanged(tx, u, isInSameEpoch)
			if err != nil {
				return err
			}
			if err := changeUser(tx, now, models.UserPatch{Password: &hash}, event); err != nil {
				return err
			}
			return tx.ResetRateLimits(ownRateLimits(u)...)
		})
	})
}

// SetActive activates or deactivates a user and revokes all sessions of the user. Errors:
// ResourceNotFound, SuperuserLast, ServiceUnavailable.
func (s operatorCommands) SetActive(ctx context.Context, username string, active bool) error {
	kind := models.EventDeactivated
	if active {
		kind = models.EventActivated
	}
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		event := audit.Event{Kind: kind, UserID: u.ID, Changes: audit.ActiveChange(u.IsActive, active)}
		return s.store.Tx(ctx, func(tx *models.Tx) error { return changeUser(tx, u, models.UserPatch{IsActive: &active}, event) })
	})
}

// changeNamedUser makes a guarded change of the user with that login name. Errors: ResourceNotFound,
// ServiceUnavailable.
func (s operatorCommands) changeNamedUser(ctx context.Context, username string, change func(models.User) error) error {
	return retryAsRead(func() (models.User, error) { return s.NamedUser(ctx, username) }, change)
}

// NamedUser returns the user with that login name, which is a username or an address. Errors:
// ResourceNotFound, ServiceUnavailable.
func (s operatorCommands) NamedUser(ctx context.Context, username string) (models.User, error) {
	u, err := s.userOfLogin(ctx, names.ParseLogin(username))
	if errors.Is(err, models.ErrNotFound) {
		return u, problem.New(problem.ResourceNotFound)
	}
	return u, problem.FromStore(err)
}
