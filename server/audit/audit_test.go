package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

// TestMain fails if a goroutine outlives the tests. There are no exceptions.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logged returns the events of a user, oldest first, without their ids.
func logged(t *testing.T, s *servertest.Server, userID int64) (list []models.Event) {
	t.Helper()
	events, err := s.Store.Events(t.Context(), models.EventQuery{UserID: &userID, Limit: 100})
	must(t, err)
	for _, e := range events {
		e.ID, e.Username, e.ActorUsername = uuid.Nil, nil, nil
		list = append([]models.Event{e}, list...)
	}
	return list
}

// An event is stored with the instant of its transaction. Absent values are NULL, and a long
// detail is cut.
func TestRecordStoresEventWithInstantOfTransaction(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		u, session, request := s.NewUser(), uuid.New(), uuid.New()
		staff := u.ID + 1
		var at time.Time
		must(t, s.Store.Tx(t.Context(), func(tx *models.Tx) error {
			at = tx.Now()
			return audit.Record(tx,
				audit.Event{Kind: models.EventActivated, UserID: u.ID, Changes: audit.ActiveChange(false, true)},
				audit.Event{Kind: models.EventLogout, UserID: u.ID, StaffID: staff, SessionID: session, Detail: strings.Repeat("é", 256),
					Client: audit.Client{IP: "192.0.2.1", UserAgent: "test", RequestID: request}},
			)
		}))
		before, after, requestID := "false", "true", request
		want := []models.Event{
			{UserID: u.ID, Kind: models.EventActivated, CreatedAt: at, Changes: models.Changes{{Field: "is_active", Before: &before, After: &after}}},
			{UserID: u.ID, Kind: models.EventLogout, CreatedAt: at, ActorID: &staff, SessionID: &session, RequestID: &requestID,
				IP: "192.0.2.1", UserAgent: "test", Detail: strings.Repeat("é", 255)},
		}
		got := logged(t, s, u.ID)
		if diff := cmp.Diff(want, got[len(got)-2:]); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// One event per minute is recorded for the same kind and subjects. An event whose user does not
// exist is not recorded. If the queue is full, events are dropped and counted.
func TestRejectedRequestsAreRecordedOncePerMinute(t *testing.T) {
	s := servertest.Start(t, servertest.Options{HoldMail: true})
	u := s.NewUser()
	dropped := 0
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	log := audit.NewLog(s.Store, func() time.Time { return now }, func(c metrics.Counter) {
		if c == metrics.EventDropped {
			dropped++
		}
	})
	reject := func(kind models.EventKind, subject string, find func(context.Context) (int64, error)) {
		log.RecordRejected(audit.Rejection{Event: audit.Event{Kind: kind}, FindUser: find, Subjects: []string{subject}})
	}
	known := func(context.Context) (int64, error) { return u.ID, nil }
	before := len(logged(t, s, u.ID))
	reject(models.EventLoginFailed, "a", known)
	reject(models.EventLoginFailed, "a", known)
	reject(models.EventLoginFailed, "b", known)
	reject(models.EventRateLimited, "a", known)
	reject(models.EventLoginFailed, "nobody", func(context.Context) (int64, error) { return 0, models.ErrNotFound })
	now = now.Add(time.Minute)
	reject(models.EventLoginFailed, "a", known)
	must(t, log.Flush(t.Context()))
	if n := len(logged(t, s, u.ID)) - before; n != 4 || dropped != 0 {
		t.Errorf("%d events were recorded, want 4; %d were dropped", n, dropped)
	}
	unavailable := func(context.Context) (int64, error) { return 0, models.ErrUnavailable }
	for i := range 1000 {
		reject(models.EventLoginFailed, fmt.Sprint(i), unavailable)
	}
	for range 2 { // the events of a failed write stay in the queue
		if err := log.Flush(t.Context()); !errors.Is(err, models.ErrUnavailable) || dropped != 0 {
			t.Fatalf("got %v and %d dropped events, want ErrUnavailable and 0", err, dropped)
		}
	}
	reject(models.EventLoginFailed, "one more", known)
	if dropped != 1 {
		t.Errorf("%d events were dropped, want 1", dropped)
	}
}

func TestMayRecordExcludesRateLimitedRequests(t *testing.T) {
	for err, want := range map[error]bool{nil: true, problem.New(problem.RateLimited): false, problem.Unavailable(errors.New("away")): true} {
		if got := audit.MayRecord(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
