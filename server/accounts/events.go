package accounts

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// ListEvents are the newest events of the principal's user, of those before the one given if that is not zero; next
// is what to give for the next page, or zero where there is none. Errors: Unavailable.
func (s *Service) ListEvents(ctx context.Context, p Principal, before uuid.UUID, limit int) (list []models.Event, next uuid.UUID, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	list, err = s.store.Events(ctx, p.User.ID, models.ID(before), limit+1)
	if err != nil {
		return nil, next, storeError(err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = uuid.UUID(list[limit-1].ID)
	}
	return list, next, nil
}

// event shapes a line of the security log. The detail names no address and no token.
func (s *Service) event(kind models.EventKind, userID int64, client Client, detail string) models.Event {
	e := models.Event{ID: models.ID(uuid.Must(uuid.NewV7())), UserID: userID, Kind: kind, Detail: detail,
		IP: client.IP, UserAgent: client.UserAgent, CreatedAt: s.now()}
	if client.RequestID != uuid.Nil {
		id := models.ID(client.RequestID)
		e.RequestID = &id
	}
	return e
}

// eventIn is an event of a session.
func (s *Service) eventIn(session models.ID, kind models.EventKind, userID int64, client Client, detail string) models.Event {
	e := s.event(kind, userID, client, detail)
	e.SessionID = &session
	return e
}

// notes are events that come with no write of their own: what was refused. They are written together a moment later,
// beside the requests: a guess at a password takes the same time whether or not there is somebody to tell of it. What
// waits here when the process dies is lost; it is in the log of requests too.
//
// They cannot be used to flood the database: one of a kind, a name and a client in a minute, and so many at once.
type notes struct {
	mu      sync.Mutex
	waiting []note
	minute  time.Time
	noted   map[string]bool // in this minute
}

// note is an event of a user who is known by id or by what somebody tried to log in with.
type note struct {
	event models.Event
	name  string
}

const (
	maxNotes   = 1000
	notesEvery = time.Second
)

// noteLogin notes a login that was refused. The name may be nobody's, which is found out later.
func (s *Service) noteLogin(in LoginInput, err error) {
	name := loginName(in.Name)
	s.noteRefusal(models.EventLoginFailed, InvalidCredentials, err, note{s.event("", 0, in.Client, ""), name}, name, in.Client)
}

// notePassword notes that a signed-in user did not know the password.
func (s *Service) notePassword(p Principal, client Client, err error) {
	n := note{event: s.eventIn(p.Session.ID, "", p.User.ID, client, "")}
	s.noteRefusal(models.EventPasswordWrong, ValidationFailed, err, n, subjectOf(p.User), client)
}

// noteRefusal notes the error that has the code as the kind, or that a budget was used up.
func (s *Service) noteRefusal(kind models.EventKind, code Code, err error, n note, subject string, client Client) {
	switch {
	case errors.Is(err, refuse(code)):
		n.event.Kind = kind
	case errors.Is(err, refuse(RateLimited)):
		n.event.Kind = models.EventRateLimited
	default:
		return
	}
	if !s.notes.add(n, n.event.Kind+"\x00"+subject+"\x00"+clientOf(client)) {
		s.observe("event_dropped")
	}
}

// add is false if too many wait.
func (q *notes) add(n note, key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if minute := n.event.CreatedAt.Truncate(time.Minute); !minute.Equal(q.minute) {
		q.minute, q.noted = minute, map[string]bool{}
	}
	if q.noted[key] {
		return true
	}
	if len(q.waiting) >= maxNotes {
		return false
	}
	q.noted[key] = true
	q.waiting = append(q.waiting, n)
	return true
}

func (q *notes) take() []note {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = nil
	return taken
}

// putBack: they could not be written, and wait on as far as there is room.
func (q *notes) putBack(list []note) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(list, q.waiting...)
	q.waiting = q.waiting[:min(len(q.waiting), maxNotes)]
}

// WriteEvents writes the events that wait, each second until ctx ends. report is told what went wrong.
func (s *Service) WriteEvents(ctx context.Context, report func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(notesEvery):
		}
		if err := s.FlushEvents(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}

// FlushEvents writes the events that wait now. After an error they wait on.
func (s *Service) FlushEvents(ctx context.Context) error {
	list := s.notes.take()
	if len(list) == 0 {
		return nil
	}
	events, err := s.addressed(ctx, list)
	if err == nil && len(events) > 0 {
		err = s.store.AddEvents(ctx, events...)
	}
	if err != nil {
		s.notes.putBack(list)
	}
	return err
}

// addressed leaves out the notes that are about nobody.
func (s *Service) addressed(ctx context.Context, list []note) ([]models.Event, error) {
	var events []models.Event
	for _, n := range list {
		if n.event.UserID == 0 {
			u, err := s.userByName(ctx, n.name)
			if errors.Is(err, models.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			n.event.UserID = u.ID
		}
		events = append(events, n.event)
	}
	return events, nil
}
