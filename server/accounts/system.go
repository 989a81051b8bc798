package accounts

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
)

// systemOperations implements the operations of the tag system, and the work in the background.
type systemOperations struct {
	*core
	passwordChecks
	state *systemState
}

// systemState is what [Service.CheckReadiness] remembers between calls.
type systemState struct {
	schemaOK atomic.Bool
	written  writeProof
}

const readyTime = 2 * time.Second

// CheckReadiness returns why this replica should not get traffic, or nil. The database must answer,
// its schema must be current, its clock must agree with this process's (otherwise every refresh is
// a 503), and a write must just have been possible (otherwise every login is a 503).
func (s systemOperations) CheckReadiness(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.sessions.CheckClock(ctx); err != nil {
		return err
	}
	return s.checkWrite(ctx)
}

// checkSchema reads the version of the schema until it is current. After that it only pings the
// database, because the schema never becomes older.
func (s systemOperations) checkSchema(ctx context.Context) error {
	if s.state.schemaOK.Load() {
		return s.ping(ctx)
	}
	schema, err := s.store.Schema(ctx)
	if err != nil {
		return problem.Unavailable(err)
	}
	if !schema.OK() {
		return problem.Unavailable(fmt.Errorf("%w: version %d, needed %d", models.ErrSchema, schema.Current, schema.Needed))
	}
	s.state.schemaOK.Store(true)
	return nil
}

func (s systemOperations) ping(ctx context.Context) error {
	if err := s.store.Ping(ctx); err != nil {
		return problem.Unavailable(err)
	}
	return nil
}

const (
	proveWriteEvery = 5 * time.Second
	proveWriteAgain = time.Second // after a write that failed
)

// writeProof is the outcome of the last write made by a check of readiness. row is the id of the
// row that this process writes; no other process writes it.
type writeProof struct {
	row uuid.UUID
	mu  sync.Mutex
	at  time.Time
	err error
}

// startIfDue reports whether it is time for another write. If so, the caller must make it and call
// set. Until then, other callers get the last outcome, which startIfDue returns as its error.
func (w *writeProof) startIfDue(now time.Time) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pause := proveWriteEvery
	if w.err != nil {
		pause = proveWriteAgain
	}
	if since := now.Sub(w.at); since >= 0 && since < pause {
		return false, w.err
	}
	w.at = now
	return true, nil
}

func (w *writeProof) set(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	return err
}

// checkWrite makes a tiny write, at most one per proveWriteEvery, because anyone may check
// readiness as often as they like. The write continues if the caller disconnects: otherwise any
// caller could make it fail.
func (s systemOperations) checkWrite(ctx context.Context) error {
	now := s.now()
	due, err := s.state.written.startIfDue(now)
	if !due {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer cancel()
	if err := s.store.ProveWrite(ctx, s.state.written.row, now); err != nil {
		return s.state.written.set(problem.Unavailable(err))
	}
	return s.state.written.set(nil)
}

// GetSigningKeys returns the public keys of access tokens.
func (s systemOperations) GetSigningKeys() JWKS { return s.ring.JWKS() }

const (
	keepSessions   = 30 * 24 * time.Hour // to look up sessions that have ended
	keepTokens     = 24 * time.Hour
	keepRateLimits = time.Hour // longer than any pause between two uses
	deleteAtOnce   = 500
)

// CleanUp removes rows that have been obsolete for long enough, in small steps, and returns how
// many. Every replica may call it, also at the same time.
func (s systemOperations) CleanUp(ctx context.Context) (total int64, err error) {
	for _, old := range []struct {
		rows models.ObsoleteRows
		keep time.Duration
	}{
		{models.EndedSessions, keepSessions}, {models.ExpiredTokens, keepTokens}, {models.FinishedMails, outbox.Retention},
		{models.EndedRateLimits, keepRateLimits}, {models.OldEvents, s.settings.EventRetention},
	} {
		for ctx.Err() == nil {
			n, err := s.store.DeleteObsolete(ctx, old.rows, s.now().Add(-old.keep), deleteAtOnce)
			total += n
			if err != nil {
				return total, err
			}
			if n < deleteAtOnce {
				break
			}
		}
	}
	return total, ctx.Err()
}
