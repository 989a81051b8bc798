package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
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
		return nil, next, problem.FromStore(err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = uuid.UUID(list[limit-1].ID)
	}
	return list, next, nil
}

// event returns an event of a user that happens now. The detail is a few English words for people,
// or empty if the kind and the changes say it all. It contains no password, no token, and no email
// address unless it is masked.
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

// mayRecord reports whether the user is within the limit of events of a kind that a client can
// cause as often as it likes. Without the limit, one client could fill the security log. If the
// database does not answer, the event is recorded.
func (s *Service) mayRecord(ctx context.Context, u models.User, kind string) bool {
	err := s.spend(ctx, use(s.settings.RareActionsPerUser, kind, subjectOf(u)))
	return !errors.Is(err, problem.New(problem.RateLimited))
}

// notes is a queue of events of rejected requests. Such a request writes nothing else, so its event
// has no transaction to be written in. [Service.WriteEvents] writes the events together a moment
// later, outside the requests, so that a wrong password takes the same time whether or not the name
// belongs to a user. Queued events are lost if the process dies; the request log has them too.
//
// Requests cannot flood the database through the queue: it accepts one event per minute for the
// same kind, name and client, and holds at most maxNotes.
type notes struct {
	mu      sync.Mutex
	waiting []note
	minute  time.Time
	noted   map[string]bool // in this minute
}

// note is an event of a user, identified by the id or by the name of a login attempt.
type note struct {
	event models.Event
	name  names.Login
}

const (
	maxNotes   = 1000
	notesEvery = time.Second
)

// noteLogin records a rejected login. Whether the name belongs to a user is found out later. A
// client that has exceeded its own limit is no event of the account.
func (s *Service) noteLogin(in LoginInput, name names.Login, err error) {
	n := note{s.event("", 0, in.Client, ""), name}
	switch {
	case errors.Is(err, problem.New(problem.CredentialsInvalid)):
		s.note(n, models.EventLoginFailed, name.Norm, in.Client.Network())
	case errors.Is(err, problem.New(problem.RateLimited)) && isOver(err, loginOfAccount, loginOfKnown, passwordsOfUser):
		s.note(n, models.EventRateLimited, name.Norm)
	}
}

// notePassword records a wrong password of a signed-in user or of the holder of a link, or that a
// limit of such passwords is exceeded. The event is complete except for its kind.
func (s *Service) notePassword(e models.Event, client Client, err error) {
	n, subject := note{event: e}, subjectOf(models.User{ID: e.UserID})
	switch {
	case errors.Is(err, problem.New(problem.ValidationFailed)):
		s.note(n, models.EventPasswordWrong, subject, client.Network())
	case errors.Is(err, problem.New(problem.RateLimited)):
		s.note(n, models.EventRateLimited, subject)
	}
}

// note queues an event, at most once a minute for the same kind and subjects.
func (s *Service) note(n note, kind models.EventKind, concerns ...string) {
	n.event.Kind = kind
	if !s.notes.add(n, kind+"\x00"+strings.Join(concerns, "\x00")) {
		s.drop(1)
	}
}

// add queues a note unless one with the same key has been queued in this minute. It reports false
// if the queue is full.
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

// putBack puts the notes of a failed write at the head of the queue again. It returns how many of
// the newest notes were dropped because the queue is full.
func (q *notes) putBack(list []note) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(list, q.waiting...)
	dropped = max(0, len(q.waiting)-maxNotes)
	q.waiting = q.waiting[:len(q.waiting)-dropped]
	return dropped
}

// WriteEvents writes the queued events every second until ctx ends. It calls report with each
// error.
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

// FlushEvents writes the queued events now. If the database is unavailable, they stay in the queue.
// An event that the database rejects is dropped, so that it does not hold up the others.
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
	case errors.Is(problem.FromStore(err), problem.New(problem.ServiceUnavailable)):
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

// addressed returns the events of the notes. It omits those whose name belongs to no user.
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
