package accounts

import (
	"context"
	"strings"

	"example.com/accounts/models"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
)

// maxWords is the maximum number of words of a search. The database compares each with every user.
const maxWords = 5

// UserPlace is a position in a list of users.
type UserPlace = models.UserPlace

// UserFilter selects users, their order and the position to continue after. Members that are nil or
// empty do not restrict the result. Username and Email are compared as at login. Each word of Text
// must be a part of the username, the address or a name. The words from the maxWords-th on count as
// one word.
type UserFilter struct {
	Text                    string
	Username, Email         *string
	IsActive, EmailVerified *bool
	Roles                   []string
	Sort                    string // as in the contract
	Descending              bool
	After                   *UserPlace
	Limit                   int
}

// listUsers returns a page of the users that match the filter; see [adminOperations.ListUsers].
func (s userLookup) listUsers(ctx context.Context, f UserFilter) (users []models.User, next *UserPlace, err error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	q, possible := f.query()
	if !possible {
		return nil, nil, nil
	}
	if users, err = s.store.FindUsers(ctx, q); err != nil {
		return nil, nil, problem.FromStore(err)
	}
	if len(users) > f.Limit {
		users = users[:f.Limit]
		place := q.Sort.PlaceOf(users[f.Limit-1])
		next = &place
	}
	return users, next, nil
}

// query returns the query of the filter, for one user more than its limit. It reports false if no
// user can have one of the exact names, so that no user matches.
func (f UserFilter) query() (q models.UserQuery, possible bool) {
	q = models.UserQuery{
		Words: strings.Fields(f.Text), Active: f.IsActive, Verified: f.EmailVerified,
		Sort: models.UserSort(f.Sort), Descending: f.Descending, After: f.After, Limit: f.Limit + 1,
	}
	if len(q.Words) > maxWords {
		q.Words = append(q.Words[:maxWords-1], strings.Join(q.Words[maxWords-1:], " "))
	}
	for _, role := range f.Roles {
		q.Roles = append(q.Roles, models.UserRole(role))
	}
	return q, f.setExactNames(&q)
}

// setExactNames adds the exact names to the query. It reports whether a user can have them.
func (f UserFilter) setExactNames(q *models.UserQuery) bool {
	if f.Username != nil {
		name := names.ParseLogin(*f.Username)
		if !name.Possible {
			return false
		}
		q.Username = name.Norm
	}
	if f.Email != nil {
		name := names.ParseLogin(*f.Email)
		if !name.Possible || !strings.Contains(name.Norm, "@") { // without @, EmailNorm is the placeholder of a user without an address
			return false
		}
		q.Email = name.Norm
	}
	return true
}
