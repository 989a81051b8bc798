package accounts

import (
	"context"
	"time"
)

// Figures are what an operator watches beside the counts of events.
type Figures struct {
	HashesRunning, HashesWaiting int
	HashSlots, HashQueue         int // their bounds
	Hashes                       int64
	ConnsInUse, ConnsOpen, Conns int // of the database; Conns is the bound
	ConnWaits                    int64
	ConnWaited                   time.Duration
	ClockOffset                  time.Duration // of the database's clock to ours, when last compared
	MailsWaiting                 int
	OldestMail                   time.Duration // since the oldest mail that is not delivered was created
	BacklogKnown                 bool          // the last two could be asked for
}

const figuresTime = time.Second

// Figures reads them. Those of the mails come from the database; where that does not answer they are left out.
func (s *Service) Figures(ctx context.Context) Figures {
	hashes, conns := s.hasher.Stats(), s.store.Stats()
	f := Figures{
		HashesRunning: hashes.Running, HashesWaiting: hashes.Waiting, HashSlots: hashes.Slots, HashQueue: hashes.Queue, Hashes: hashes.Computed,
		ConnsInUse: conns.InUse, ConnsOpen: conns.OpenConnections, Conns: conns.MaxOpenConnections,
		ConnWaits: conns.WaitCount, ConnWaited: conns.WaitDuration, ClockOffset: time.Duration(s.clockOffset.Load()),
	}
	ctx, cancel := context.WithTimeout(ctx, figuresTime)
	defer cancel()
	n, oldest, err := s.store.MailBacklog(ctx)
	if err != nil {
		return f
	}
	f.BacklogKnown, f.MailsWaiting = true, n
	if n > 0 {
		f.OldestMail = max(0, s.now().Sub(oldest)) // by another replica's clock
	}
	return f
}
