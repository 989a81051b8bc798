package accounts

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
)

// NewUser is a user that an operator adds: active, with a verified address.
type NewUser struct {
	Username, Email, FirstName, LastName string
	Password                             string
	Superuser                            bool // and staff
}

// CreateUser adds a user. Errors: ValidationFailed, UsernameTaken, EmailTaken, ServiceUnavailable.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (models.User, error) {
	u, err := s.newUser(n)
	if err != nil {
		return u, err
	}
	if u.Password, err = s.hasher.Hash(ctx, credentials.Network{}, n.Password); err != nil {
		return u, hashError(err)
	}
	err = s.store.CreateUser(ctx, &u, s.byOperator(models.EventRegistered, u.ID, grantedRoles(u), ""))
	if errors.Is(err, models.ErrConflict) {
		return u, s.taken(ctx, u)
	}
	return u, problem.FromStore(err)
}

func (s *Service) newUser(n NewUser) (models.User, error) {
	now := s.now()
	u := models.User{
		Username: n.Username, Email: n.Email, FirstName: n.FirstName, LastName: n.LastName,
		IsActive: true, IsStaff: n.Superuser, IsSuperuser: n.Superuser, EmailVerifiedAt: &now, DateJoined: now, SessionEpoch: newEpoch(),
	}
	var username error
	if n.Username == "" { // a generated one would surprise the operator
		username = problem.Invalid("username", "required")
	}
	identity := newIdentity(&u) // first, because the password is compared with the names
	return u, problem.Join(username, identity, s.checkNewPassword(n.Password, u))
}

// newEpoch returns the first session epoch of a user. It has 48 random bits, so that the epoch of a
// user who is removed and added again (a restored backup, an import) does not match old sessions.
func newEpoch() int64 {
	var b [8]byte
	_, _ = rand.Read(b[2:]) // never fails (crypto/rand)
	return int64(binary.BigEndian.Uint64(b[:]))
}

// taken returns the conflict of the unique values that another user has: one of them, or both.
func (s *Service) taken(ctx context.Context, u models.User) error {
	name, err := s.isTaken(ctx, s.store.UserByUsername, u.UsernameNorm, u.ID)
	if err != nil {
		return err
	}
	email, err := s.isTaken(ctx, s.store.UserByEmail, u.EmailNorm, u.ID)
	switch {
	case err != nil:
		return err
	case name && email:
		return problem.Join(problem.UsernameConflict(), problem.EmailConflict())
	case name:
		return problem.UsernameConflict()
	}
	return problem.EmailConflict() // or the conflict was resolved a moment ago
}

// isTaken reports whether a user other than the one with the id has the value.
func (s *Service) isTaken(ctx context.Context, find func(context.Context, string) (models.User, error), value string, id int64) (bool, error) {
	other, err := find(ctx, value)
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	}
	return err == nil && other.ID != id, problem.FromStore(err)
}

// Users calls f with every user, in the order of ids.
func (s *Service) Users(ctx context.Context, f func(models.User) error) error {
	return problem.FromStore(s.store.Users(ctx, f))
}

// SetPassword replaces a user's password and revokes all sessions of the user. Errors:
// ResourceNotFound, ValidationFailed, ServiceUnavailable.
func (s *Service) SetPassword(ctx context.Context, username, password string) error {
	hash, err := s.hasher.Hash(ctx, credentials.Network{}, password)
	if err != nil {
		return hashError(err)
	}
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		if err := s.checkNewPassword(password, u); err != nil {
			return err
		}
		limits := ownRateLimits(u)
		return s.store.SetPassword(ctx, u, hash, limits, s.byOperator(models.EventPasswordChanged, u.ID, nil, ""))
	})
}

// SetActive activates or deactivates a user and revokes all sessions of the user. Errors:
// ResourceNotFound, SuperuserLast, ServiceUnavailable.
func (s *Service) SetActive(ctx context.Context, username string, active bool) error {
	kind := models.EventDeactivated
	if active {
		kind = models.EventActivated
	}
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		return s.store.SetActive(ctx, u, active, s.byOperator(kind, u.ID, activeChange(u.IsActive, active), ""))
	})
}

// byOperator returns an event without a request, which marks it as the operator's.
func (s *Service) byOperator(kind models.EventKind, userID int64, changes models.Changes, detail string) models.Event {
	return changing(s.event(kind, userID, Client{}, detail), changes)
}

// changeNamedUser makes a guarded change of the user with that login name. Errors: ResourceNotFound,
// ServiceUnavailable.
func (s *Service) changeNamedUser(ctx context.Context, username string, change func(models.User) error) error {
	return guarded(func() (models.User, error) {
		u, err := s.userOfLogin(ctx, names.ParseLogin(username))
		if errors.Is(err, models.ErrNotFound) {
			return u, problem.New(problem.ResourceNotFound)
		}
		return u, problem.FromStore(err)
	}, change)
}

// guarded reads a user and makes a change that fails with models.ErrNotFound if the user has
// changed since the read. It then tries again, loginTries times in all.
func guarded(read func() (models.User, error), change func(models.User) error) error {
	var err error
	for range loginTries {
		var u models.User
		if u, err = read(); err != nil {
			return err
		}
		if err = change(u); !errors.Is(err, models.ErrNotFound) {
			return problem.FromStore(err)
		}
	}
	return problem.Unavailable(err)
}
