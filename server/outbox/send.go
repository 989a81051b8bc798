package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
)

const (
	leaseTime    = 3 * time.Minute  // longer than one delivery and the storing of its outcome may take
	pollEvery    = 2 * time.Second  // how soon a worker sees mails that another replica queued
	firstRetry   = 5 * time.Second  // then twice as long each time
	lastRetry    = 15 * time.Minute // but not longer than this
	deliveryTime = mail.MaxSend     // bound on one delivery
	stopTime     = 30 * time.Second // bound on the rest of a delivery when the process is told to stop
	pauseOnError = 10 * time.Second // after an error of the database
)

// Fault describes a mail that was not sent. It contains neither the id of the row nor an address, so
// it can be logged.
type Fault struct {
	ID       string // see models.Mail.PublicID
	Kind     string
	Attempts int
	GivenUp  bool // the mail will not be retried
	Err      error
}

// senders sends the mails of the outbox. One goroutine reads the mails that are due, and finds out
// which of them have a recipient. Each mail is sent by a goroutine of its own, which holds one of a
// fixed number of slots.
//
// Strangers can request mails for addresses that have no account, and a flood of those must not
// delay the mail of every user. But an observer can time mails: an observer who requests a reset
// for another person's address, and then one for their own, must not see by the arrival of the
// second mail whether the first was sent. So a mail without a recipient is a decoy: it waits for a
// slot in its turn, and holds it for as long as the last real mail took to send.
//
// A flood limits the decoys. It is a flood if the decoys that are due would take all slots for
// longer than maxDecoyDelay, or if at least batchSize mails are due. Then decoys hold at most a
// third of the slots, and the other mails without a recipient are finished at once, many in one
// statement. So in a flood real mails have two thirds of the slots, and a thousand mails without a
// recipient take a few seconds.
//
// One difference can still be timed, if in a flood decoys hold their third of the slots, and real
// mails hold all other slots but one. If the next mail is real, it takes the last slot, and the
// mail after it must wait. If the next mail has no recipient, the mail after it gets the last slot.
// To see this, the observer must make the flood (at half a second for a mail, sixty requests at once
// from networks of their own) and fill the other slots with mails to mailboxes of their own, while
// no other mail is sent.
//
// Mails of signed-in users and staff are sent first, and so could delay all others: an attacker
// with many accounts can cause two mails with each change of address. These mails, and mails that
// have failed before, are restricted: they hold at most two thirds of the slots. The rest is for
// requests of strangers that are sent for the first time, so a reset always has a slot.
type senders struct {
	*Outbox
	sender          mail.Sender
	report          func(Fault)
	slots           chan struct{} // holds one for each mail in flight
	decoySlots      chan struct{} // holds one for each of those that is a decoy
	restrictedSlots chan struct{} // holds one for each of those that isRestricted
	sendTime        atomic.Int64  // of the last mail, in nanoseconds
	all             sync.WaitGroup
}

// Send sends the mails that are due until ctx ends, several at once. Every replica does so. Each
// mail is sent by one of them, and by another one if that replica fails. report is called with each
// fault, from several goroutines.
func (o *Outbox) Send(ctx context.Context, sender mail.Sender, report func(Fault)) {
	n := max(decoyPart, o.Senders)
	s := &senders{
		Outbox: o, sender: sender, report: report, slots: make(chan struct{}, n), decoySlots: make(chan struct{}, n/decoyPart),
		restrictedSlots: make(chan struct{}, n-n/decoyPart),
	}
	defer s.all.Wait()
	for {
		pause := s.sendDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-time.After(pause):
		}
	}
}

// sendDue starts to send mails until none is due or every sender is busy. A sender that finishes
// wakes Send. sendDue returns how long to wait without that.
func (s *senders) sendDue(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		more, err := s.sendBatch(ctx)
		if err != nil {
			return pauseOnError
		}
		if !more {
			break
		}
	}
	return pollEvery
}

// startSending claims a mail and sends it in a goroutine of its own.
func (s *senders) startSending(ctx context.Context, m models.Mail, isDecoy bool, release func()) error {
	m, err := s.Store.ClaimMail(ctx, m, s.Now(), leaseTime)
	if err != nil {
		release()
		if errors.Is(err, models.ErrNotFound) {
			return nil
		}
		return err
	}
	s.all.Go(func() {
		defer s.Wake()
		defer release()
		s.send(ctx, m, isDecoy)
	})
	return nil
}

// send delivers a mail that has been claimed, and stores the outcome.
func (s *senders) send(ctx context.Context, m models.Mail, isDecoy bool) {
	outcome, err := s.deliver(ctx, m, isDecoy)
	if err != nil {
		s.reportFault(m, outcome != "", err)
	}
	// The outcome must be stored even if the process has been told to stop. Otherwise the mail is
	// sent again.
	ctx, cancel := models.Bound(context.WithoutCancel(ctx))
	defer cancel()
	if outcome == "" {
		s.Count(metrics.MailRetried)
		err = s.Store.RetryMail(ctx, m, s.Now().Add(retryPause(m.Attempts)))
	} else {
		s.Count(counters[outcome])
		err = s.Store.FinishMail(ctx, withOutcome(m, outcome), s.Now())
	}
	if err != nil { // the lease expires, and the mail is sent again
		s.reportFault(m, false, err)
	}
}

// counters maps the outcomes of mails to their counters.
var counters = map[string]metrics.Counter{
	models.MailSent:    metrics.MailSent,
	models.MailDropped: metrics.MailDropped,
	models.MailExpired: metrics.MailExpired,
	models.MailRefused: metrics.MailRefused,
}

// withOutcome returns a mail with its outcome. It removes the address of a deleted account from the
// account's last mail, because nothing else removes it with the user.
func withOutcome(m models.Mail, outcome string) models.Mail {
	m.Outcome = outcome
	if m.Kind == string(mail.AccountDeleted) {
		m.Email, m.EmailNorm, m.Name = "", "", ""
	}
	return m
}

func (s *senders) reportFault(m models.Mail, givenUp bool, err error) {
	s.report(Fault{ID: m.PublicID(), Kind: m.Kind, Attempts: m.Attempts, GivenUp: givenUp, Err: err})
}

// retryPause returns how long to wait before the next attempt.
func retryPause(attempts int) time.Duration {
	return min(firstRetry<<min(attempts-1, 10), lastRetry)
}

// deliver sends a mail and returns the outcome. An empty outcome means that the mail is to be
// retried. An error that comes with an outcome is for the log.
func (s *senders) deliver(ctx context.Context, m models.Mail, isDecoy bool) (outcome string, err error) {
	if !s.Now().Before(m.ExpiresAt) {
		return models.MailExpired, errors.New("it could not be sent before it expired")
	}
	stop := ctx
	// If the process is told to stop, the dialogue continues for stopTime: an interrupted one may
	// have delivered the mail already, and another replica would send it again. Only the greeting of
	// a mail server can take longer than that, and before it nothing has been delivered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryTime)
	defer cancel()
	stopWatching := context.AfterFunc(stop, func() { time.AfterFunc(stopTime, cancel) })
	defer stopWatching()
	message, err := s.compose(ctx, m)
	switch {
	case errors.Is(err, models.ErrNotFound):
		s.holdDecoy(stop, isDecoy)
		return models.MailDropped, nil
	case errors.Is(err, errNoSecret):
		return models.MailDropped, err
	case err != nil:
		return "", err
	}
	message.To = s.Mailbox(message.To)
	err = s.sendTimed(ctx, message)
	switch {
	case errors.Is(err, mail.ErrPermanent):
		return models.MailRefused, err
	case err != nil:
		return "", err
	}
	return models.MailSent, nil
}

// sendTimed sends a message and remembers how long it took; see senders.
func (s *senders) sendTimed(ctx context.Context, message mail.Message) error {
	began := time.Now() //nolint:forbidigo // measures a duration
	err := s.sender.Send(ctx, message)
	took := time.Since(began) //nolint:forbidigo // as above
	if err == nil {
		s.sendTime.Store(int64(min(took, longestDecoy)))
	}
	return err
}
