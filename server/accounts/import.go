package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// DjangoUser is a row of Django's user table, unchanged. NULL is the zero value of the member,
// which is nil for a time. A time that cannot be read is the zero time.
type DjangoUser struct {
	ID                                             int64
	Username, Email, FirstName, LastName, Password string
	IsActive, IsStaff, IsSuperuser                 bool
	LastLogin, DateJoined                          *time.Time
}

// DjangoToken is a refresh token on simplejwt's blacklist. UserID is 0 if its user is gone, and
// ExpiresAt is zero if it cannot be read.
type DjangoToken struct {
	JTI       string
	UserID    int64
	ExpiresAt time.Time
}

// DjangoAddress is a row of django-allauth's table account_emailaddress: an address of a user, and
// whether the user has verified it. UserID is 0 if it is not a number.
type DjangoAddress struct {
	UserID   int64
	Email    string
	Verified bool
}

// ImportOptions are the options of an import.
type ImportOptions struct {
	Dry            bool // report the result of the import, and write nothing
	EmailsVerified bool // the operator states that Django verified every address, except those that allauth marks as unverified
}

// Import is one run of an import from Django. Batches must come in the order of ids: if two users
// have the same name, the one with the lower id keeps it, so that an interrupted run that is
// repeated has the same result as an uninterrupted one.
type Import struct {
	ImportOptions

	s                                      operatorCommands
	at                                     time.Time
	proofs                                 proofs
	planned                                holders // in a dry run: the users so far, which the database does not have
	lines                                  [importRules]ImportLine
	read, imported, importedBefore, tokens int
}

// NewImport starts an import.
func (s operatorCommands) NewImport(o ImportOptions) *Import {
	return &Import{ImportOptions: o, s: s, at: s.now(), proofs: newProofs(), planned: newHolders()}
}

// Begin reserves the ids up to the greatest one of the source for the import: users who sign up
// during the import get greater ones. Errors: ServiceUnavailable.
func (i *Import) Begin(ctx context.Context, greatest int64) error {
	if i.Dry || greatest < 1 {
		return nil
	}
	err := i.s.store.Tx(ctx, func(tx *models.Tx) error { return tx.ReserveIDs(min(greatest, MaxImportedID)) })
	if errors.Is(err, models.ErrConflict) { // a user has that id, so the database assigns only greater ones already
		return nil
	}
	return problem.FromStore(err)
}

// keepBlacklisted is how long blacklisted tokens are kept at least: the longest time that
// ACCOUNTS_LEGACY_JWT_UNTIL can be ahead. The expiry in the blacklist is the one that a token had
// when it was created. It is too early if the project gave the token a longer life afterwards
// ("remember me").
const keepBlacklisted = 400 * 24 * time.Hour

// Tokens records that tokens have been used, so that this server does not accept them. Call it
// before Users: from the import of a user on, the server accepts those of the user's tokens that
// are not recorded. Errors: ServiceUnavailable.
func (i *Import) Tokens(ctx context.Context, batch []DjangoToken) error {
	var used []models.OneTimeToken
	for _, t := range batch {
		if t.JTI != "" && (t.ExpiresAt.IsZero() || i.at.Before(t.ExpiresAt)) {
			used = append(used, i.usedToken(t))
		}
	}
	if !i.Dry && len(used) > 0 {
		if err := i.s.store.Tx(ctx, func(tx *models.Tx) error { return tx.ImportUsedTokens(used) }); err != nil {
			return problem.FromStore(err)
		}
	}
	i.tokens += len(used)
	return nil
}

func (i *Import) usedToken(t DjangoToken) models.OneTimeToken {
	end := i.at.Add(keepBlacklisted)
	if t.ExpiresAt.After(end) {
		end = t.ExpiresAt
	}
	hash := token.LegacyJTI(t.JTI)
	return models.OneTimeToken{
		ID: uuid.Must(uuid.NewV7()), Purpose: models.PurposeLegacyRefresh, Hash: hash[:], UserID: max(0, t.UserID),
		CreatedAt: i.at, ExpiresAt: end.UTC().Truncate(time.Microsecond), UsedAt: &i.at,
	}
}

const importTries = 5

// Users imports a batch, all of it or none. If a user signs up with a name of the batch at the same
// moment, it plans the batch again. Errors: ServiceUnavailable.
func (i *Import) Users(ctx context.Context, batch []DjangoUser) error {
	var err error
	for range importTries {
		var p *importPlan
		if p, err = i.plan(ctx, batch); err != nil {
			return problem.FromStore(err)
		}
		if !i.Dry && len(p.users) > 0 {
			err = i.s.store.Tx(ctx, p.write)
		}
		if err == nil {
			i.count(p, len(batch))
			return nil
		}
		if !errors.Is(err, models.ErrConflict) {
			return problem.FromStore(err)
		}
	}
	return problem.Unavailable(err)
}
