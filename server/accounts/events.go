package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// ListEvents returns the newest events of the principal's user that match the query. next is the
// event before which the next page begins, or zero if there is none. Errors: ServiceUnavailable.
func (s *Service) ListEvents(ctx context.Context, p Principal, q models.EventQuery) (list []models.Event, next uuid.UUID, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	q.UserID = &p.User.ID
	return s.pageOfEvents(ctx, q)
}

// pageOfEvents reads one event more than the page has, to find out whether there is a next page.
func (s *Service) pageOfEvents(ctx context.Context, q models.EventQuery) (list []models.Event, next uuid.UUID, err error) {
	limit := q.Limit
	q.Limit++
	if list, err = s.store.Events(ctx, q); err != nil {
		return nil, next, storeError(err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = uuid.UUID(list[limit-1].ID)
	}
	return list, next, nil
}

// event returns an event of a user that happens now. The detail is a few English words for people,
// or empty if the kind and the changes say it all. It never has an email address, other than masked,
// a password or a token.
func (s *Service) event(kind models.EventKind, userID int64, client Client, detail string) models.Event {
	now := s.now()
	e := models.Event{ID: s.eventIDs.New(now), UserID: userID, Kind: kind, Detail: firstOf(detail, maxDetail),
		IP: client.IP, UserAgent: client.UserAgent, CreatedAt: now}
	if client.RequestID != uuid.Nil {
		id := models.ID(client.RequestID)
		e.RequestID = &id
	}
	return e
}

const maxDetail = 255

// firstOf returns the first n characters.
func firstOf(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// eventIn returns an event of a session.
func (s *Service) eventIn(session models.ID, kind models.EventKind, userID int64, client Client, detail string) models.Event {
	e := s.event(kind, userID, client, detail)
	e.SessionID = &session
	return e
}

// changing returns the event with its changes.
func changing(e models.Event, changes models.Changes) models.Event {
	e.Changes = changes
	return e
}

// mayRecord reports whether the user is within the limit of events of a kind that a client can cause
// as often as it likes. Without the limit, one client could fill the security log. If the database
// does not answer, the event is recorded.
func (s *Service) mayRecord(ctx context.Context, u models.User, kind string) bool {
	err := s.spend(ctx, use(s.settings.RareActionsPerUser, kind, subjectOf(u)))
	return !errors.Is(err, refuse(RateLimited))
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

// note is an event of a user who is identified by the id or by the name of a login attempt.
type note struct {
	event models.Event
	name  loginName
}

const (
	maxNotes   = 1000
	notesEvery = time.Second
)

// noteLogin records a rejected login. Whether the name belongs to a user is found out later. A
// client that has exceeded its own limit is no event of the account.
func (s *Service) noteLogin(in LoginInput, name loginName, err error) {
	n := note{s.event("", 0, in.Client, ""), name}
	switch {
	case errors.Is(err, refuse(CredentialsInvalid)):
		s.note(n, models.EventLoginFailed, name.norm, in.Client.Network())
	case errors.Is(err, refuse(RateLimited)) && isOver(err, loginOfAccount, loginOfKnown, passwordsOfUser):
		s.note(n, models.EventRateLimited, name.norm)
	}
}

// notePassword records a wrong password of a signed-in user or of the holder of a link, or that a
// limit of such passwords is exceeded. The event is complete except for its kind.
func (s *Service) notePassword(e models.Event, client Client, err error) {
	n, subject := note{event: e}, subjectOf(models.User{ID: e.UserID})
	switch {
	case errors.Is(err, refuse(ValidationFailed)):
		s.note(n, models.EventPasswordWrong, subject, client.Network())
	case errors.Is(err, refuse(RateLimited)):
		s.note(n, models.EventRateLimited, subject)
	}
}

// note takes it, once a minute for its kind and whom it concerns.
func (s *Service) note(n note, kind models.EventKind, concerns ...string) {
	n.event.Kind = kind
	if !s.notes.add(n, kind+"\x00"+strings.Join(concerns, "\x00")) {
		s.drop(1)
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

// putBack: they could not be written, and wait on as far as there is room. The answer is how many do not.
func (q *notes) putBack(list []note) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(list, q.waiting...)
	dropped = max(0, len(q.waiting)-maxNotes)
	q.waiting = q.waiting[:len(q.waiting)-dropped]
	return dropped
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

// FlushEvents writes the events that wait now. Without the database they wait on; one that it refuses is dropped, so
// that it does not keep the others back.
func (s *Service) FlushEvents(ctx context.Context) error {
	list := s.notes.take()
	if len(list) == 0 {
		return nil
	}
	events, err := s.addressed(ctx, list)
	if err == nil && len(events) > 0 {
		err = s.store.AddEvents(ctx, events...)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(storeError(err), refuse(ServiceUnavailable)):
		s.drop(s.notes.putBack(list))
	default:
		for _, each := range events {
			if s.store.AddEvents(ctx, each) != nil {
				s.drop(1)
			}
		}
	}
	return err
}

func (s *Service) drop(n int) {
	for range n {
		s.observe("event_dropped")
	}
}

// addressed leaves out the notes that are about nobody.
func (s *Service) addressed(ctx context.Context, list []note) ([]models.Event, error) {
	var events []models.Event
	for _, n := range list {
		if n.event.UserID == 0 {
			u, err := s.userOfLogin(ctx, n.name)
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
