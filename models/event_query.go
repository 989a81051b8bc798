package models

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// EventIDs generates the ids of events: UUIDs of version 7 that contain the time of the event to
// the millisecond. The order of the ids is the order of the events, and a range of times is a range
// of ids. The zero value is ready to use. It is safe for concurrent use.
type EventIDs struct {
	mu       sync.Mutex
	milli    int64
	fraction int64
}

// New returns an id for an event that happened at the given time. Ids for the same microsecond are
// in the order of the calls.
func (g *EventIDs) New(at time.Time) uuid.UUID {
	const fractions = 1 << 12 // of a millisecond (RFC 9562, section 6.2, method 3)
	milli := at.UnixMilli()
	fraction := at.Sub(time.UnixMilli(milli)).Nanoseconds() * fractions / time.Millisecond.Nanoseconds()
	g.mu.Lock()
	if milli == g.milli && fraction <= g.fraction {
		fraction = min(g.fraction+1, fractions-1)
	}
	g.milli, g.fraction = milli, fraction
	g.mu.Unlock()
	id := firstID(at)
	random := uuid.New() // version 4, which has its variant bits in the same place as version 7
	id[6], id[7] = 0x70|byte(fraction>>8), byte(fraction)
	copy(id[8:], random[8:])
	return id
}

// firstID returns the smallest id that an event in the millisecond of at can have.
func firstID(at time.Time) (id uuid.UUID) {
	milli := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(milli >> (40 - 8*i))
	}
	return id
}

// EventQuery selects events. Fields that are nil or empty do not restrict the result.
type EventQuery struct {
	UserID  *int64
	ActorID *int64 // only events that this staff member caused for other users
	Kinds   []EventKind
	From    *time.Time // only events at or after this time
	Until   *time.Time // only events before this time
	Before  uuid.UUID  // only events with a smaller id
	Limit   int
}

// Events returns the newest events that match, newest first, with the current usernames of their
// users and staff members.
func (s eventQueries) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	var list []Event
	err := q.withUsernames(s.reads.WithContext(ctx), s.mysql).Find(&list).Error
	return list, translate(err)
}

// withUsernames adds the usernames to the matching events.
func (q EventQuery) withUsernames(db *gorm.DB, mysql bool) *gorm.DB {
	return db.Table("(?) AS events", q.newest(db, mysql)).
		Select("events.*, users.username, actors.username AS actor_username").
		Joins("LEFT JOIN users ON users.id = events.user_id").
		Joins("LEFT JOIN users AS actors ON actors.id = events.actor_id").
		Order("events.id DESC").Limit(q.Limit)
}

// newest selects the newest rows that match. For several kinds, it selects the newest rows of each
// kind, because no index contains the rows of several kinds in order.
func (q EventQuery) newest(db *gorm.DB, mysql bool) *gorm.DB {
	if q.index() != "events_kind" || len(q.Kinds) == 1 {
		return q.newestInIndex(db, mysql)
	}
	var union *gorm.DB
	for _, kind := range q.Kinds {
		single := q
		single.Kinds = []EventKind{kind}
		if union == nil {
			union = single.newestInIndex(db, mysql)
			continue
		}
		union = db.Raw("SELECT * FROM (?) AS others UNION ALL SELECT * FROM (?) AS of_kind", union, single.newestInIndex(db, mysql))
	}
	return union
}

// newestInIndex reads the rows in the order of one index, so that the query stops at the limit. On
// MySQL and MariaDB the index is forced, because MariaDB estimates that reading all events of a
// user costs as much as reading those before an id.
func (q EventQuery) newestInIndex(db *gorm.DB, mysql bool) *gorm.DB {
	query := db.Model(&Event{})
	if mysql {
		switch q.index() {
		case "events_actor":
			query = query.Table("events FORCE INDEX (events_actor)")
		case "events_user":
			query = query.Table("events FORCE INDEX (events_user)")
		case "events_kind":
			query = query.Table("events FORCE INDEX (events_kind)")
		default:
			query = query.Table("events FORCE INDEX (PRIMARY)")
		}
	}
	if q.UserID != nil {
		query = query.Where("user_id = ?", *q.UserID)
	}
	if q.ActorID != nil {
		query = query.Where("actor_id = ? AND user_id <> actor_id", *q.ActorID)
	}
	if len(q.Kinds) > 0 {
		query = query.Where("kind IN ?", q.Kinds)
	}
	return q.inTime(query).Order("id DESC").Limit(q.Limit)
}

// index returns the name of the index that reads the fewest rows for q. The last column of each
// index is the id.
func (q EventQuery) index() string {
	switch {
	case q.ActorID != nil:
		return "events_actor"
	case q.UserID != nil:
		return "events_user"
	case len(q.Kinds) > 0:
		return "events_kind"
	}
	return "PRIMARY"
}

// inTime restricts the events by time, in whole milliseconds. It compares ids, so that a request
// for events of a year ago does not read all events written since.
func (q EventQuery) inTime(query *gorm.DB) *gorm.DB {
	var ends []uuid.UUID
	if q.Before != uuid.Nil {
		ends = append(ends, q.Before)
	}
	if q.Until != nil {
		ends = append(ends, firstID(sinceEpoch(*q.Until)))
	}
	if len(ends) > 0 { // a single condition, because SQLite searches the index only by the first one
		query = query.Where("id < ?", slices.MinFunc(ends, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }))
	}
	if q.From != nil {
		query = query.Where("id >= ?", firstID(sinceEpoch(*q.From)))
	}
	return query
}

// sinceEpoch returns the given time, or the start of 1970 if it is earlier. An event's id begins
// with its time (UUIDv7), and cannot represent a time before 1970.
func sinceEpoch(at time.Time) time.Time {
	if epoch := time.Unix(0, 0).UTC(); at.Before(epoch) {
		return epoch
	}
	return at
}
