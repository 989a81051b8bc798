// Package audit keeps the security log: it records events in the transactions of the writes that
// they describe, records rejected requests a moment later, and reads the log.
//
// The package knows nothing of HTTP, and only the security log has events: counters for operators
// are in the package metrics.
package audit

import (
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// Event is an event to be recorded: what happened to a user, and who caused it.
type Event struct {
	Kind      models.EventKind
	UserID    int64
	StaffID   int64     // the staff member who caused the event, or 0
	SessionID uuid.UUID // zero if the event belongs to no session
	Client    Client    // zero if the operator caused the event: it then has no request
	Changes   models.Changes
	// Detail is a few English words for people, or empty if the kind and the changes say it all. It
	// contains no password, no token, and no email address unless it is masked.
	Detail string
}

const maxDetail = 255

// ids generates the ids of all events of this process, in the order of the calls.
var ids models.EventIDs

// Row returns the row of an event that happened at the given time, with a new id.
func (e Event) Row(at time.Time) models.Event {
	row := models.Event{ID: ids.New(at), UserID: e.UserID, Kind: e.Kind, Changes: e.Changes, Detail: models.Truncate(e.Detail, maxDetail),
		IP: e.Client.IP, UserAgent: e.Client.UserAgent, CreatedAt: at}
	if e.StaffID != 0 {
		row.ActorID = &e.StaffID
	}
	if e.SessionID != uuid.Nil {
		row.SessionID = &e.SessionID
	}
	if e.Client.RequestID != uuid.Nil {
		id := e.Client.RequestID
		row.RequestID = &id
	}
	return row
}

// Record adds events to the security log in the transaction of the write that they describe, so
// that neither exists without the other.
func Record(tx *models.Tx, events ...Event) error {
	rows := make([]models.Event, 0, len(events))
	for _, e := range events {
		rows = append(rows, e.Row(tx.Now()))
	}
	return tx.AddEvents(rows...)
}
