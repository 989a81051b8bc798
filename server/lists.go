package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// defaultLimit is the default of the parameter limit in the contract.
const defaultLimit = 50

// cursor is a position in a list of users, in the form that clients receive. It contains the order
// of the list and is rejected for a list in another order.
type cursor struct {
	Sort       string    `json:"s"`
	Descending bool      `json:"d"`
	ID         int64     `json:"i"`
	Text       string    `json:"t,omitempty"`
	Time       time.Time `json:"w,omitzero"`
}

// encodeUserCursor returns the cursor of a position in a list of users, or null after the last
// page.
func encodeUserCursor(next *accounts.UserPlace, f accounts.UserFilter) nullable.Nullable[string] {
	if next == nil {
		return nullable.NewNullNullable[string]()
	}
	raw, err := json.Marshal(cursor{f.Sort, f.Descending, next.ID, next.Text, next.Time})
	if err != nil { // a year after 9999, which no row has
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(raw))
}

// decodeUserCursor parses a cursor of a list of users. The client controls the content, which is
// used only in comparisons: a forged cursor starts the page at another position of the same list.
func decodeUserCursor(text string, f accounts.UserFilter) (accounts.UserPlace, error) {
	var c cursor
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != f.Sort || c.Descending != f.Descending || !isDatabaseTime(c.Time) {
		return accounts.UserPlace{}, cursorError()
	}
	return accounts.UserPlace{ID: c.ID, Text: c.Text, Time: c.Time}, nil
}

// encodeIDCursor returns the cursor of a position in a list that is ordered by id, or null for the
// zero id.
func encodeIDCursor(id uuid.UUID) nullable.Nullable[string] {
	if id == uuid.Nil {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(id[:]))
}

// decodeIDCursor returns the id in a cursor, or the zero id if there is no cursor.
func decodeIDCursor(cursor *api.Cursor) (uuid.UUID, error) {
	if cursor == nil {
		return uuid.Nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(raw) != len(uuid.Nil) {
		return uuid.Nil, cursorError()
	}
	return uuid.UUID(raw), nil
}

// cursorError returns the error for a cursor that was not issued for a list with this order.
func cursorError() error {
	f, name := fieldError(api.FieldErrorCodeFormatInvalid), "cursor"
	f.Parameter = &name
	return problemOf(problem.RequestMalformed, f)
}

// isDatabaseTime reports whether MySQL can store the year of t. A query with any other year
// would fail.
func isDatabaseTime(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// pageOfSessions returns the part of a list of sessions that follows the cursor. The list is
// ordered from new to old. A cursor is the id of a session. It stays valid if this session has
// ended since, because ids grow with time and need only be compared.
func pageOfSessions(list []models.Session, current uuid.UUID, cursor *api.Cursor, limit *api.Limit) (api.SessionList, error) {
	after, err := decodeIDCursor(cursor)
	if err != nil {
		return api.SessionList{}, err
	}
	if after != uuid.Nil {
		list = slices.DeleteFunc(list, func(s models.Session) bool { return bytes.Compare(s.ID[:], after[:]) >= 0 })
	}
	var next uuid.UUID
	if n := valueOr(limit, defaultLimit); len(list) > n {
		list = list[:n]
		next = list[n-1].ID
	}
	return api.SessionList{Sessions: sessions(list, current), NextCursor: encodeIDCursor(next)}, nil
}

// eventQuery converts the filters that both lists of events accept.
func eventQuery(kinds *api.EventKindQuery, from, before *time.Time, cursor *api.Cursor, limit *api.Limit) (models.EventQuery, error) {
	at, err := decodeIDCursor(cursor)
	q := models.EventQuery{From: from, Until: before, Before: at, Limit: valueOr(limit, defaultLimit)}
	for _, kind := range valueOr(kinds, nil) {
		q.Kinds = append(q.Kinds, string(kind))
	}
	return q, err
}
