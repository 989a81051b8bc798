package accounts

import (
	"context"
	"time"
)

// Stats holds the values that operators monitor besides the counters of the package metrics.
type Stats struct {
	HashesRunning, HashesWaiting int
	HashSlots, HashQueue         int // their bounds
	Hashes                       int64
	ConnsInUse, ConnsOpen, Conns int // of the database; Conns is the bound
	ConnWaits                    int64
	ConnWaited                   time.Duration
	ClockOffset                  time.Duration // of the database's clock from this process's, when last compared
	MailsWaiting                 int
	OldestMail                   time.Duration // since the oldest mail that is not delivered was created
	BacklogKnown                 bool          // whether MailsWaiting and OldestMail could be read
}

const statsTime = time.Second

// Stats returns the current values. Those of the mails come from the database, and are omitted
// if the database does not answer within statsTime.
func (s systemOperations) Stats(ctx context.Context) Stats {
	hashes, conns := s.hasher.Stats(), s.store.Stats()
	f := Stats{
		HashesRunning: hashes.Running, HashesWaiting: hashes.Waiting, HashSlots: hashes.Slots, HashQueue: hashes.Queue, Hashes: hashes.Computed,
		ConnsInUse: conns.InUse, ConnsOpen: conns.OpenConnections, Conns: conns.MaxOpenConnections,
		ConnWaits: conns.WaitCount, ConnWaited: conns.WaitDuration, ClockOffset: s.sessions.ClockOffset(),
	}
	ctx, cancel := context.WithTimeout(ctx, statsTime)
	defer cancel()
	n, oldest, err := s.store.MailBacklog(ctx)
	if err != nil {
		return f
	}
	f.BacklogKnown, f.MailsWaiting = true, n
	if n > 0 {
		f.OldestMail = max(0, s.now().Sub(oldest)) // the replica that created it may have a clock that is ahead
	}
	return f
}
