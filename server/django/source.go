package django

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"example.com/accounts/server/accounts"
)

// Source is a source of users to import. Errors of callbacks are returned unchanged; every other
// error is a sentence about the source.
type Source interface {
	// Table returns the name of the table of the users, or of their model.
	Table() string
	// Total returns the number of users.
	Total() int64
	// Greatest returns the greatest id that can be imported, or 0.
	Greatest() int64
	// Tokens calls f with simplejwt's blacklisted tokens in batches, if there are any.
	Tokens(ctx context.Context, f func([]accounts.DjangoToken) error) error
	// Addresses calls f with the rows of django-allauth's table of addresses in batches, if there
	// is one.
	Addresses(ctx context.Context, f func([]accounts.DjangoAddress) error) error
	// Users calls f with the users in batches, in ascending order of ids or in the order of the
	// file.
	Users(ctx context.Context, f func([]accounts.DjangoUser) error) error
	// Close releases the source.
	Close() error
}

// batch is the number of rows that are read and written at a time.
const batch = 500

// The two tables of simplejwt's blacklist. In a dump, the names of their models contain a dot
// instead of the last underscore.
const (
	outstandingTokens = "token_blacklist_outstandingtoken"
	blacklistedTokens = "token_blacklist_blacklistedtoken"
)

// addressTable is django-allauth's table. Its columns email and verified say which addresses users
// have verified.
const addressTable = "account_emailaddress"

// userColumns are the columns of AbstractUser that are read.
var userColumns = []string{
	"id", "password", "last_login", "is_superuser", "username", "first_name", "last_name", "email", "is_staff", "is_active", "date_joined",
}

// looksLikeUsers reports whether a table has the columns of a Django user model: an id, a password
// and a last login (AbstractBaseUser), and a username or an address. The users table of this
// service may be in the same database; it is recognized by the column username_norm.
func looksLikeUsers(has func(column string) bool) bool {
	return has("id") && has("password") && has("last_login") && (has("username") || has("email")) && !has("username_norm")
}

// canBeUsers reports whether a table that the operator has named has the required columns.
func canBeUsers(has func(column string) bool) bool {
	return has("id") && has("password") && (has("username") || has("email"))
}

// chooseTable selects the table of the users: the wanted one, or the only table that looks like it.
// columns maps table names to their columns. In a dump, a model counts as a table, and --table may
// name either: auth_user is the same as auth.user.
func chooseTable(columns map[string][]string, wanted string) (string, error) {
	has := func(table string) func(string) bool {
		return func(column string) bool { return slices.Contains(columns[table], column) }
	}
	if wanted != "" {
		table, found := findTable(columns, wanted)
		switch {
		case !found:
			return "", fmt.Errorf("there is no table %s: check --table", wanted)
		case !canBeUsers(has(table)):
			return "", fmt.Errorf("the table %s cannot be the table of users: it needs the columns id, password and username or email", wanted)
		}
		return table, nil
	}
	var found []string
	for table := range columns {
		if table == replaceUnprintable(table) && looksLikeUsers(has(table)) {
			found = append(found, table)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", errors.New("found no table of users with the columns id, password, last_login and username or email: name the table with --table")
	}
	return "", fmt.Errorf("several tables could contain the users: %s; choose one with --table", strings.Join(found, ", "))
}

// findTable returns the table that the operator has named, by the name of the table or of its
// model.
func findTable(columns map[string][]string, wanted string) (string, bool) {
	if columns[wanted] != nil {
		return wanted, true
	}
	for table := range columns {
		if tableName(table) == tableName(wanted) {
			return table, true
		}
	}
	return "", false
}

// replaceUnprintable replaces characters that are not printable, so that a name in the source can
// neither send commands to a terminal nor add lines to the report. No table name of Django contains
// such characters.
func replaceUnprintable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func tableName(name string) string { return strings.ReplaceAll(strings.ToLower(name), ".", "_") }

// layouts are the time formats of Django and MySQL. A time without a zone is in UTC, which Django
// stores with USE_TZ.
var layouts = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02"}

// parseTime returns the zero time if text is not a time.
func parseTime(text string) *time.Time {
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return &t
		}
	}
	return &time.Time{}
}
