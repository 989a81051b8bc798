package ratelimit

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// memory holds for memoryTime which limits of clients are exceeded, so that a flood of one client is
// rejected without the database. It holds no other limits: a reset by mail, a staff member or an
// operator can release the limits of an account on any replica, and the next login must see that at
// once.
type memory struct {
	mu     sync.Mutex
	limits map[uuid.UUID]rejection
}

type rejection struct {
	exceeded *models.RateLimitExceeded
	forgetAt time.Time
}

const (
	memoryTime = time.Second
	maxMemory  = 10_000 // limits
)

// find returns the rejection by one of the limits, or nil.
func (m *memory) find(uses []models.RateLimitUse, now time.Time) *Exceeded {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, use := range uses {
		if found, ok := m.limits[use.ID]; ok && now.Before(found.forgetAt) && now.Before(found.exceeded.Until) {
			return &Exceeded{Kind: use.Kind, Until: found.exceeded.Until, InFlight: found.exceeded.InFlight}
		}
	}
	return nil
}

// add records that a limit was exceeded at the time now.
func (m *memory) add(exceeded *models.RateLimitExceeded, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.limits) >= maxMemory || m.limits == nil {
		m.limits = map[uuid.UUID]rejection{} // the limits that this forgets are read from the database
	}
	m.limits[exceeded.ID] = rejection{exceeded, now.Add(memoryTime)}
}
