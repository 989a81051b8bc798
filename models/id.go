package models

import (
	"bytes"
	"database/sql/driver"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID that the database stores as 16 bytes.
type ID uuid.UUID

// Value returns the 16 bytes. The method of google/uuid would return text.
func (id ID) Value() (driver.Value, error) { return id[:], nil }

// Scan reads the 16 bytes.
func (id *ID) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(id) {
		return fmt.Errorf("models: an ID is 16 bytes, not %T", src)
	}
	copy(id[:], b)
	return nil
}

func (id ID) String() string { return uuid.UUID(id).String() }

// compare orders ids as the databases do.
func (id ID) compare(other ID) int { return bytes.Compare(id[:], other[:]) }
