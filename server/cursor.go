package server

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
)

// cursor is a place in a list of users as clients carry it. It names its order: in another one it is no place.
type cursor struct {
	Sort       models.UserSort `json:"s"`
	Descending bool            `json:"d"`
	ID         int64           `json:"i"`
	Text       string          `json:"t,omitempty"`
	Time       time.Time       `json:"w,omitzero"`
}

func cursorOf(next *models.UserPlace, q models.UserQuery) nullable.Nullable[string] {
	if next == nil {
		return nullable.NewNullNullable[string]()
	}
	raw, err := json.Marshal(cursor{q.Sort, q.Descending, next.ID, next.Text, next.Time})
	if err != nil { // a time beyond the year 9999, which no row has
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(base64.RawURLEncoding.EncodeToString(raw))
}

// placeIn reads a cursor. What is in it is the sender's, and only ever compared with: a made-up one begins the page
// somewhere else in the same list.
func placeIn(text string, q models.UserQuery) (models.UserPlace, error) {
	var c cursor
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != q.Sort || c.Descending != q.Descending || !isDatabaseTime(c.Time) {
		name := "after"
		return models.UserPlace{}, problemOf(codeMalformedRequest,
			api.FieldError{Parameter: &name, Code: api.FieldErrorCodeInvalidFormat, Detail: fieldDetails[api.FieldErrorCodeInvalidFormat]})
	}
	return models.UserPlace{ID: c.ID, Text: c.Text, Time: c.Time}, nil
}

// isDatabaseTime: MySQL has no other years, and would answer with an error.
func isDatabaseTime(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}
