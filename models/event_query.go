package models

import (
	"context"
	"slices"
	"strings"
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
	ActorID *int64 // only what this staff member did to other users
	Kinds   []EventKind
	From    *time.Time // only events at or after this time
	Until   *time.Time // only events before this time
	Before  ID         // only events before this one
	Limit   int
}

// Events returns the newest events that match, newest first, with the present usernames of those
// whom they name.
func (s *Store) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	db := s.reads.WithContext(ctx)
	var list []Event
	err := db.Table("(?) AS events", q.page(db)).
		Select("events.*, users.username, actors.username AS actor_username").
		Joins("LEFT JOIN users ON users.id = events.user_id").
		Joins("LEFT JOIN users AS actors ON actors.id = events.actor_id").
		Order("events.id DESC").Limit(q.Limit).Find(&list).Error
	return list, translate(err)
}

// page selects the rows, or a few more. It reads them in the order of an index that begins with one
// of the filters, so that it can stop at the limit. The kinds are listed one by one: no index has
// the order of several kinds.
func (q EventQuery) page(db *gorm.DB) *gorm.DB {
	if q.UserID != nil || q.ActorID != nil || len(q.Kinds) < 2 {
		return q.rows(db, q.Kinds)
	}
	var parts []string
	var pages []any
	for _, kind := range q.Kinds {
		parts, pages = append(parts, "SELECT * FROM (?) AS of_kind"), append(pages, q.rows(db, []EventKind{kind}))
	}
	return db.Raw(strings.Join(parts, " UNION ALL "), pages...)
}

func (q EventQuery) rows(db *gorm.DB, kinds []EventKind) *gorm.DB {
	query := db.Model(&Event{})
	if q.UserID != nil {
		query = query.Where("user_id = ?", *q.UserID)
	}
	if q.ActorID != nil {
		query = query.Where("actor_id = ? AND user_id <> actor_id", *q.ActorID)
	}
	if len(kinds) > 0 {
		query = query.Where("kind IN ?", kinds)
	}
	return q.inTime(query).Order("id DESC").Limit(q.Limit)
}

// idSlack is how far the time of an event may be from that of its id. EventIDs keeps them within a
// millisecond of each other; rows of earlier versions, which took the two from two readings of a
// clock, have the rest.
const idSlack = time.Minute

// inTime restricts the time of the events. Their ids are restricted first, which every index can do:
// otherwise a request for the events of a year ago would read all that were written since.
func (q EventQuery) inTime(query *gorm.DB) *gorm.DB {
	before := q.Before
	if q.Until != nil {
		until := sinceEpoch(*q.Until)
		query = query.Where("created_at < ?", until)
		if end := firstID(until.Add(idSlack)); before == (ID{}) || slices.Compare(end[:], before[:]) < 0 {
			before = end
		}
	}
	if before != (ID{}) {
		query = query.Where("id < ?", before)
	}
	if q.From != nil {
		from := sinceEpoch(*q.From)
		query = query.Where("created_at >= ? AND id >= ?", from, firstID(sinceEpoch(from.Add(-idSlack))))
	}
	return query
}

// sinceEpoch returns the time, or 1970 for an earlier one. Ids have no earlier times.
func sinceEpoch(at time.Time) time.Time {
	if epoch := time.Unix(0, 0).UTC(); at.Before(epoch) {
		return epoch
	}
	return at
}
