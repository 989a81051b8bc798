package client

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"
)

// Sessions iterates over the live sessions of the signed-in user, from new to old. The package
// documentation describes the behavior of all lists.
func (a *Accounts) Sessions(ctx context.Context, params *ListSessionsParams) iter.Seq2[Session, error] {
	return list(params, func(p *ListSessionsParams) **CursorQuery { return &p.Cursor },
		func(p *ListSessionsParams) (listAnswer[SessionList], error) {
			return a.API.ListSessionsWithResponse(ctx, p)
		},
		sessionsOf)
}

// Events iterates over the security events of the signed-in user, from new to old.
func (a *Accounts) Events(ctx context.Context, params *ListEventsParams) iter.Seq2[Event, error] {
	return list(params, func(p *ListEventsParams) **CursorQuery { return &p.Cursor },
		func(p *ListEventsParams) (listAnswer[EventList], error) { return a.API.ListEventsWithResponse(ctx, p) },
		eventsOf)
}

// Users iterates over the users that match the filters. It requires the role of a staff member.
func (a *Accounts) Users(ctx context.Context, params *ListUsersParams) iter.Seq2[User, error] {
	return list(params, func(p *ListUsersParams) **CursorQuery { return &p.Cursor },
		func(p *ListUsersParams) (listAnswer[UserList], error) { return a.API.ListUsersWithResponse(ctx, p) },
		func(l *UserList) ([]User, nullable.Nullable[NextCursor]) { return l.Users, l.NextCursor })
}

// UserSessions iterates over the live sessions of a user, from new to old. It requires the role of
// a staff member.
func (a *Accounts) UserSessions(ctx context.Context, user UserID, params *ListUserSessionsParams) iter.Seq2[Session, error] {
	return list(params, func(p *ListUserSessionsParams) **CursorQuery { return &p.Cursor },
		func(p *ListUserSessionsParams) (listAnswer[SessionList], error) {
			return a.API.ListUserSessionsWithResponse(ctx, user, p)
		},
		sessionsOf)
}

// AllEvents iterates over the security events of all users that match the filters, from new to old.
// It requires the role of a staff member.
func (a *Accounts) AllEvents(ctx context.Context, params *ListAllEventsParams) iter.Seq2[Event, error] {
	return list(params, func(p *ListAllEventsParams) **CursorQuery { return &p.Cursor },
		func(p *ListAllEventsParams) (listAnswer[EventList], error) {
			return a.API.ListAllEventsWithResponse(ctx, p)
		},
		eventsOf)
}

func sessionsOf(l *SessionList) ([]Session, nullable.Nullable[NextCursor]) {
	return l.Sessions, l.NextCursor
}

func eventsOf(l *EventList) ([]Event, nullable.Nullable[NextCursor]) { return l.Events, l.NextCursor }

// listAnswer is the result of a generated list operation. L is its schema, such as UserList.
type listAnswer[L any] interface {
	Answer
	GetJSON200() *L
}

// list iterates over the items of all pages. cursor returns a pointer to the cursor in the
// parameters, request requests one page, and page returns the items of a page and the cursor of the
// next one.
func list[P, L, T any](
	params *P, cursor func(*P) **CursorQuery, request func(*P) (listAnswer[L], error), page func(*L) ([]T, nullable.Nullable[NextCursor]),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var query P // a copy for each loop: the caller may range again or change params
		if params != nil {
			query = *params
		}
		for {
			answer, err := request(&query)
			l, err := listOf(answer, err)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			items, next := page(l)
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			following, err := next.Get()
			if err != nil { // null: this was the last page
				return
			}
			*cursor(&query) = &following
		}
	}
}

// listOf returns the page in a response. A 2xx response without a page comes from a proxy and is an
// error.
func listOf[L any](answer listAnswer[L], err error) (*L, error) {
	if err := Check(answer, err); err != nil {
		return nil, err
	}
	if l := answer.GetJSON200(); l != nil {
		return l, nil
	}
	return nil, statusError(answer.StatusCode())
}
