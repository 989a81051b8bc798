package models

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// Change is the change of one field. Before or After is nil if the field had or has no value.
type Change struct {
	Field  string  `json:"field"`
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// Changes are the changes of an event. The column stores them as JSON, or NULL if there are none.
type Changes []Change

// Value returns the JSON of the changes.
func (c Changes) Value() (driver.Value, error) {
	if len(c) == 0 {
		return nil, nil //nolint:nilnil // NULL
	}
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false) // <, > and & would take six bytes each
	if err := to.Encode([]Change(c)); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	return string(bytes.TrimSpace(text.Bytes())), nil
}

// Scan reads the JSON of the changes.
func (c *Changes) Scan(src any) error {
	*c = nil
	var text []byte
	switch src := src.(type) {
	case nil:
		return nil
	case []byte:
		text = src
	case string:
		text = []byte(src)
	default:
		return fmt.Errorf("models: changes are a text, not %T", src)
	}
	if err := json.Unmarshal(text, (*[]Change)(c)); err != nil {
		return fmt.Errorf("models: the changes of an event: %w", err)
	}
	return nil
}
