package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// Kinds of events.
const (
	EventRefreshReused = "refresh_reused" // a superseded refresh token came back: its session was revoked
	EventRefreshGraced = "refresh_graced" // one came back in time, but from another address and user agent
)

// Event is a line of the security log: what happened to whom, without secrets.
type Event struct {
	ID        ID `gorm:"primaryKey"`
	UserID    int64
	SessionID *ID
	Kind      string
	Detail    string // a few words for people, such as "2 generations old"
	IP        string
	UserAgent string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// Events are the user's newest events.
func (s *Store) Events(ctx context.Context, userID int64, limit int) ([]Event, error) {
	var list []Event
	err := s.reads.WithContext(ctx).Where("user_id = ?", userID).Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

func addEvent(tx *gorm.DB, e Event) error { return tx.Create(&e).Error }
