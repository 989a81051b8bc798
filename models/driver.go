package models

import (
	"database/sql/driver"
	"errors"

	"github.com/google/uuid"
)

// The connections of both drivers are wrapped, so that they store a uuid.UUID as 16 bytes. The
// Value method of uuid.UUID returns text.

var errDriver = errors.New("models: the database driver does not have all the methods that this program needs")

// idToBytes replaces the value by its 16 bytes if it is a uuid.UUID, or by NULL if it is a nil
// pointer to one. It returns driver.ErrSkip for other values.
func idToBytes(v *driver.NamedValue) error {
	switch id := v.Value.(type) {
	case uuid.UUID:
		v.Value = id[:]
	case *uuid.UUID:
		if id == nil {
			v.Value = nil
			break
		}
		v.Value = id[:]
	default:
		return driver.ErrSkip
	}
	return nil
}

// sqlConn is the set of interfaces that the connections of both drivers implement.
type sqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
}
