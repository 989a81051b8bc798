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

// Source is where users come from. The errors of a callback are handed on as they are; every other one is a sentence
// about the source.
type Source interface {
	// Table is the name of the table of the users, or of their model.
	Table() string
	// Total is how many users there are.
	Total() int64
	// Greatest is the greatest id that can be imported, or 0.
	Greatest() int64
	// Tokens calls f with simplejwt's blacklist, in batches, if there is one.
	Tokens(ctx context.Context, f func([]accounts.DjangoToken) error) error
	// Addresses calls f with the rows of django-allauth's table of addresses, in batches, if there is one.
	Addresses(ctx context.Context, f func([]accounts.DjangoAddress) error) error
	// Users calls f with the users, in batches by growing id, or in the order of the file.
	Users(ctx context.Context, f func([]accounts.DjangoUser) error) error
	// Close lets go of it.
	Close() error
}

// batch is how many rows are read, and written, at once.
const batch = 500

// The two tables of simplejwt's blacklist, as models are named in a dump with a dot.
const (
	outstandingTokens = "token_blacklist_outstandingtoken"
	blacklistedTokens = "token_blacklist_blacklistedtoken"
)

// addressTable is django-allauth's table. Its columns email and verified say which addresses users
// have verified.
const addressTable = "account_emailaddress"

// userColumns are those of AbstractUser that are read.
var userColumns = []string{
	"id", "password", "last_login", "is_superuser", "username", "first_name", "last_name", "email", "is_staff", "is_active", "date_joined",
}

// looksLikeUsers: every user model of Django has a password and a last login (AbstractBaseUser), and something to log in
// with. Ours, which may be in the same database, is told by a column of its own.
func looksLikeUsers(has func(column string) bool) bool {
	return has("id") && has("password") && has("last_login") && (has("username") || has("email")) && !has("username_norm")
}

// canBeUsers is what a table must have that somebody has named.
func canBeUsers(has func(column string) bool) bool {
	return has("id") && has("password") && (has("username") || has("email"))
}

// choose finds the table of the users: the one that was asked for, or the only one that looks like it. Columns has the
// tables with their columns; a model has the name of its table, auth_user for auth.user.
func choose(columns map[string][]string, wanted string) (string, error) {
	has := func(table string) func(string) bool {
		return func(column string) bool { return slices.Contains(columns[table], column) }
	}
	if wanted != "" {
		table, found := named(columns, wanted)
		switch {
		case !found:
			return "", fmt.Errorf("there is no table %s", wanted)
		case !canBeUsers(has(table)):
			return "", fmt.Errorf("the table %s has no users: it needs the columns id, password and username or email", wanted)
		}
		return table, nil
	}
	var found []string
	for table := range columns {
		if table == printable(table) && looksLikeUsers(has(table)) {
			found = append(found, table)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", errors.New("no table of users: looked for one with the columns id, password, last_login and username or email; name it with --table")
	}
	return "", fmt.Errorf("several tables may be that of the users: %s; name the one with --table", strings.Join(found, ", "))
}

// named finds a table that somebody has typed: as it is, or as its model.
func named(columns map[string][]string, wanted string) (string, bool) {
	if columns[wanted] != nil {
		return wanted, true
	}
	for table := range columns {
		if asTable(table) == asTable(wanted) {
			return table, true
		}
	}
	return "", false
}

// printable keeps what the source says from commanding a terminal, and from writing lines of the report. No table of
// Django's has a name that it would change.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func asTable(name string) string { return strings.ReplaceAll(strings.ToLower(name), ".", "_") }

// layouts are how Django and MySQL write a time; without a zone it is UTC, which Django keeps with USE_TZ.
var layouts = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02"}

// parseTime answers the zero time for what is none.
func parseTime(text string) *time.Time {
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return &t
		}
	}
	return &time.Time{}
}
