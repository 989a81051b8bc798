package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
)

const (
	batchSize     = 256 // mails of a priority that are read at once
	longestDecoy  = 10 * time.Second
	maxDecoyDelay = 5 * time.Second // the most that decoys may delay a real mail by
	decoyPart     = 3               // in a flood, decoys hold at most one of so many slots
)

// sendBatch starts to send the first mails that are due, and finishes those among them that have
// neither a recipient nor a slot as decoys. It reports whether there may be more that need not wait
// for a slot.
func (s *senders) sendBatch(ctx context.Context) (more bool, err error) {
	due, err := s.Store.DueMails(ctx, s.Now(), batchSize)
	if err != nil {
		return false, err
	}
	decoys, err := s.findDecoys(ctx, due)
	if err != nil {
		return false, err
	}
	b := batch{senders: s, decoys: decoys, isFlood: s.isFlood(len(due), len(decoys)), waiting: map[lane]bool{}}
	err = b.dispatch(ctx, due)
	return b.hasMore(due), errors.Join(err, s.drop(ctx, b.excess))
}

// isFlood reports whether the decoys among the mails that are due would delay a real one for too
// long.
func (s *senders) isFlood(due, decoys int) bool {
	delay := time.Duration(decoys) * time.Duration(s.sendTime.Load()) / time.Duration(cap(s.slots))
	return due >= batchSize || delay > maxDecoyDelay
}

// findDecoys returns the mails that must not be sent, because the address that a stranger typed does
// not have the account or the registration that the request was about. They are looked up together,
// before they are claimed, so that a flood of requests costs a few statements per batch. compose
// checks the same again for each mail that is sent.
func (s *senders) findDecoys(ctx context.Context, due []models.Mail) (map[uuid.UUID]bool, error) {
	requested := map[string][]string{}
	for _, m := range due {
		if m.Priority != models.PriorityKnown {
			requested[m.Kind] = append(requested[m.Kind], m.EmailNorm)
		}
	}
	users, err := s.Store.Recipients(ctx, requested[string(mail.Reset)])
	if err != nil {
		return nil, err
	}
	registrants, err := s.Store.Registrants(ctx, requested[string(Resend)], s.Now())
	if err != nil {
		return nil, err
	}
	found := map[string][]string{string(mail.Reset): users, string(Resend): registrants}
	decoys := map[uuid.UUID]bool{}
	for _, m := range due {
		recipients, isLookedUp := found[m.Kind]
		if isLookedUp && m.Priority != models.PriorityKnown && !slices.Contains(recipients, m.EmailNorm) {
			decoys[m.ID] = true
		}
	}
	return decoys, nil
}

// drop finishes mails without a recipient.
func (s *senders) drop(ctx context.Context, mails []models.Mail) error {
	n, err := s.Store.DropMails(ctx, s.Now(), mails)
	for range n {
		s.Count(metrics.MailDropped)
	}
	return err
}

// lane identifies the mails of a batch that may not overtake each other. If one of them waits for a
// slot, so do those behind it.
type lane struct {
	priority     models.MailPriority
	isRestricted bool
}

func laneOf(m models.Mail) lane { return lane{m.Priority, isRestricted(m)} }

// isRestricted reports whether a mail may use only a part of the slots, because mails of its
// priority are sent before others, or because it has failed before and may hold a slot again and
// again; see senders.
func isRestricted(m models.Mail) bool { return m.Priority == models.PriorityKnown || m.Attempts > 0 }

// batch is the mails that are read at once.
type batch struct {
	*senders
	decoys  map[uuid.UUID]bool
	isFlood bool
	excess  []models.Mail // decoys of a flood that get no slot
	waiting map[lane]bool // lanes whose next mail waits for a slot
}

// dispatch starts to send mails in their order, until the next one of each lane finds no slot.
func (b *batch) dispatch(ctx context.Context, due []models.Mail) error {
	for _, m := range due {
		if b.waiting[laneOf(m)] {
			continue
		}
		isExcess := b.isFlood && b.decoys[m.ID]
		release, ok := b.acquireSlot(m, isExcess)
		switch {
		case ok:
			if err := b.startSending(ctx, m, b.decoys[m.ID], release); err != nil {
				return err
			}
		case isExcess:
			b.excess = append(b.excess, m)
		default:
			b.waiting[laneOf(m)] = true
		}
	}
	return nil
}

// hasMore reports whether there may be mails beyond those of the batch that are not behind one that
// waits.
func (b *batch) hasMore(due []models.Mail) bool {
	handled := map[models.MailPriority]int{}
	for _, m := range due {
		if !b.waiting[laneOf(m)] {
			handled[m.Priority]++
		}
	}
	for _, n := range handled {
		if n == batchSize {
			return true
		}
	}
	return false
}

// acquireSlot takes a slot if one is free. The decoys of a flood, and restricted mails, get at most
// their part of the slots.
func (s *senders) acquireSlot(m models.Mail, isDecoy bool) (release func(), ok bool) {
	needed := []chan struct{}{s.slots}
	if isDecoy {
		needed = append(needed, s.decoySlots)
	}
	if isRestricted(m) {
		needed = append(needed, s.restrictedSlots)
	}
	for i, slots := range needed {
		if !tryAcquire(slots) {
			releaseAll(needed[:i])
			return nil, false
		}
	}
	return func() { releaseAll(needed) }, true
}

func releaseAll(held []chan struct{}) {
	for _, slots := range held {
		<-slots
	}
}

func tryAcquire(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// holdDecoy keeps the slot of a decoy for as long as the last mail took to send; see senders.
// isDecoy is false if the mail has lost its recipient since it was dispatched. Such a mail becomes
// a decoy only if decoys hold less than their part of the slots. holdDecoy returns when the process
// is told to stop.
func (s *senders) holdDecoy(ctx context.Context, isDecoy bool) {
	if !isDecoy {
		if !tryAcquire(s.decoySlots) {
			return
		}
		defer releaseAll([]chan struct{}{s.decoySlots})
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(s.sendTime.Load())):
	}
}
