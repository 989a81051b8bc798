package models

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// EventIDs makes the ids of events: UUIDs of version 7 with the time of the event, to the
// millisecond, so that the order of the ids is the order of the events and a range of times is a
// range of ids. The zero value is ready to use, also concurrently.
type EventIDs struct {
	mu       sync.Mutex
	milli    int64
	fraction int64
}

// New returns the id of an event that happened at the time given. Of two events in the same
// microsecond, the one whose id was made first comes first.
func (g *EventIDs) New(at time.Time) ID {
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
	random := uuid.New() // of version 4, which has its variant where version 7 has it
	id[6], id[7] = 0x70|byte(fraction>>8), byte(fraction)
	copy(id[8:], random[8:])
	return id
}

// firstID returns the smallest id that an event of the time's millisecond can have.
func firstID(at time.Time) (id ID) {
	milli := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(milli >> (40 - 8*i))
	}
	return id
}

// EventQuery says which events to list. Members that are nil or empty do not restrict the list.
type EventQuery struct {
	UserID  *int64
	ActorID *int64 // only events that this staff member caused for other users
	Kinds   []EventKind
	From    *time.Time // only events at or after this time
	Until   *time.Time // only events before this time
	Before  ID         // only events before this one
	Limit   int
}

// Events returns the newest events that match, newest first, with the present usernames of their
// users and staff members.
func (s *Store) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	var list []Event
	err := s.named(s.reads.WithContext(ctx), q).Find(&list).Error
	return list, translate(err)
}

// named selects the matching events with the usernames.
func (s *Store) named(db *gorm.DB, q EventQuery) *gorm.DB {
	return db.Table("(?) AS events", s.newest(db, q)).
		Select("events.*, users.username, actors.username AS actor_username").
		Joins("LEFT JOIN users ON users.id = events.user_id").
		Joins("LEFT JOIN users AS actors ON actors.id = events.actor_id").
		Order("events.id DESC").Limit(q.Limit)
}

// newest selects the newest rows that match. For several kinds, it selects the newest rows of each
// kind, because no index has the order of all of them.
func (s *Store) newest(db *gorm.DB, q EventQuery) *gorm.DB {
	if q.index() != "events_kind" || len(q.Kinds) == 1 {
		return s.newestInIndex(db, q)
	}
	var union *gorm.DB
	for _, kind := range q.Kinds {
		one := q
		one.Kinds = []EventKind{kind}
		if union == nil {
			union = s.newestInIndex(db, one)
			continue
		}
		union = db.Raw("SELECT * FROM (?) AS others UNION ALL SELECT * FROM (?) AS of_kind", union, s.newestInIndex(db, one))
	}
	return union
}

// newestInIndex reads the rows in the order of one index, so that the query stops at the limit. For
// MariaDB the index is forced, because MariaDB estimates that all events of a user cost as much as
// those before an id.
func (s *Store) newestInIndex(db *gorm.DB, q EventQuery) *gorm.DB {
	query := db.Model(&Event{})
	if s.mysql {
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

// index returns the index that leads to the fewest rows. Each ends with the id.
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

// inTime restricts the time of the events by their ids, in whole milliseconds, so that a request for
// the events of a year ago does not read all that were written since.
func (q EventQuery) inTime(query *gorm.DB) *gorm.DB {
	var ends []ID
	if q.Before != (ID{}) {
		ends = append(ends, q.Before)
	}
	if q.Until != nil {
		ends = append(ends, firstID(sinceEpoch(*q.Until)))
	}
	if len(ends) > 0 { // one condition: SQLite would search the index by the first one alone
		query = query.Where("id < ?", slices.MinFunc(ends, ID.compare))
	}
	if q.From != nil {
		query = query.Where("id >= ?", firstID(sinceEpoch(*q.From)))
	}
	return query
}

// sinceEpoch returns the time, or the start of 1970 if the time is earlier, because ids have no
// earlier times.
func sinceEpoch(at time.Time) time.Time {
	if epoch := time.Unix(0, 0).UTC(); at.Before(epoch) {
		return epoch
	}
	return at
}
