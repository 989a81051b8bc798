package accounts

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

const (
	mailLease  = time.Minute      // longer than a sender may take
	mailPoll   = 2 * time.Second  // how soon a worker sees what another replica queued
	firstRetry = 5 * time.Second  // then twice as long each time
	lastRetry  = 15 * time.Minute // but not longer than this
	mailTime   = 30 * time.Second // bound on one delivery

	longestPretence = 10 * time.Second
	mailBatch       = 64               // mails that are looked at in one go
	nobodysPart     = 3                // mails to nobody hold one in so many senders at most
	noMailPause     = 10 * time.Second // after an error of the database
)

// MailFault says why a mail was not sent. It holds neither the id of the row nor an address, so it can be logged.
type MailFault struct {
	ID       string // see models.Mail.PublicID
	Kind     string
	Attempts int
	GivenUp  bool // it will not be tried again
	Err      error
}

// senders sends the mails of the outbox. One goroutine looks at what is due and finds out whether there is a recipient;
// each mail that has one is then sent by a goroutine of its own, up to a bound.
//
// Strangers can request mails for addresses that have no account. Such a mail must not use sending capacity, or a flood
// of them delays everyone's mail. Yet an observer can time a mail: one who requests a reset for an address of another
// person, and then one for an address of their own, must not see by the second mail's arrival whether the first was
// sent. So a mail to nobody holds a sender for as long as the last real mail took, and both cases are alike, as long as
// such mails hold less than their part of the senders. Beyond that they are finished at once, and many together: then
// real mails always have most of the senders, and a thousand mails to nobody take less than a second.
//
// What an observer can still time: if mails to nobody hold their part already and real mails hold all but one of the
// other senders, then one more real mail makes the next one wait, and one more mail to nobody does not. The observer
// has to fill the senders of the one process that claims the mails, to the last but one, in the time that one mail
// takes, with mails to many mailboxes of their own, while no other mail is sent; and each try is limited by client
// network and by recipient.
type senders struct {
	*Service
	sender mail.Sender
	report func(MailFault)
	places chan struct{} // one is held for each mail in flight
	parts  chan struct{} // one more is held for each of these that is to nobody
	all    sync.WaitGroup
}

// SendMails sends what is due until ctx ends, several mails at once. Every replica does so; a mail is sent by one of
// them, and by another one if that dies. report is told what went wrong, by any of the senders.
func (s *Service) SendMails(ctx context.Context, sender mail.Sender, report func(MailFault)) {
	n := max(nobodysPart, s.settings.MailSenders)
	d := &senders{
		Service: s, sender: sender, report: report, places: make(chan struct{}, n), parts: make(chan struct{}, n/nobodysPart),
	}
	defer d.all.Wait()
	for {
		pause := d.sendDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-s.mailWake:
		case <-time.After(pause):
		}
	}
}

// sendDue begins to send what is due, until nothing is or every sender is busy: the first that is done wakes it again.
// It returns how long to wait without that.
func (d *senders) sendDue(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		more, err := d.sendBatch(ctx)
		if err != nil {
			return noMailPause
		}
		if !more {
			break
		}
	}
	return mailPoll
}

// sendBatch begins to send the first mails that are due, and finishes those among them that are to nobody. It returns
// whether there may be more that need not wait for a sender.
func (d *senders) sendBatch(ctx context.Context) (more bool, err error) {
	due, err := d.store.DueMails(ctx, d.now(), mailBatch)
	if err != nil {
		return false, err
	}
	dropped, busy, err := d.dispatch(ctx, due)
	return len(due) == mailBatch && !busy, errors.Join(err, d.drop(ctx, dropped))
}

// dispatch begins to send mails in their order, until all senders are busy. It returns those that need no sender, since
// they are to nobody.
func (d *senders) dispatch(ctx context.Context, due []models.Mail) (dropped []models.Mail, busy bool, err error) {
	for _, m := range due {
		nobody, err := d.isToNobody(ctx, m)
		if err != nil {
			return dropped, false, err
		}
		release, free := d.reserve(nobody)
		switch {
		case free:
			if err := d.begin(ctx, m, nobody, release); err != nil {
				return dropped, false, err
			}
		case nobody:
			dropped = append(dropped, m)
		default:
			return dropped, true, nil
		}
	}
	return dropped, false, nil
}

// isToNobody reports whether the address that a stranger typed has no recipient. It is asked before the mail is claimed,
// so that many such mails can be finished in one statement.
func (d *senders) isToNobody(ctx context.Context, m models.Mail) (bool, error) {
	var err error
	switch {
	case m.Priority == models.PriorityKnown:
		return false, nil
	case m.Kind == string(mail.Reset):
		_, err = d.resetUser(ctx, m)
	case m.Kind == string(resend):
		_, err = d.store.PendingRegistration(ctx, m.EmailNorm, d.now())
	}
	if errors.Is(err, models.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// reserve takes a sender, if one is free; a mail to nobody gets one of their part alone.
func (d *senders) reserve(nobody bool) (release func(), free bool) {
	if nobody && !tryHold(d.parts) {
		return nil, false
	}
	if !tryHold(d.places) {
		if nobody {
			<-d.parts
		}
		return nil, false
	}
	return func() {
		<-d.places
		if nobody {
			<-d.parts
		}
	}, true
}

func tryHold(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

// begin claims a mail and sends it in a goroutine of its own.
func (d *senders) begin(ctx context.Context, m models.Mail, nobody bool, release func()) error {
	m, err := d.store.ClaimMail(ctx, m, d.now(), mailLease)
	if err != nil {
		release()
		if errors.Is(err, models.ErrNotFound) {
			return nil
		}
		return err
	}
	d.all.Go(func() {
		defer d.wakeMail()
		defer release()
		d.send(ctx, m, nobody)
	})
	return nil
}

// drop finishes mails to nobody without a sender.
func (d *senders) drop(ctx context.Context, mails []models.Mail) error {
	n, err := d.store.DropMails(ctx, d.now(), mails)
	for range n {
		d.observe("mail_dropped")
	}
	return err
}

// send delivers a mail that has been claimed, and stores what became of it.
func (d *senders) send(ctx context.Context, m models.Mail, nobody bool) {
	outcome, err := d.deliver(ctx, m, nobody)
	if err != nil {
		d.fault(m, outcome != "", err)
	}
	// What was sent must be noted even if the process has been told to stop, or it is sent again.
	ctx, cancel := deadline(ctx)
	defer cancel()
	if outcome == "" {
		d.observe("mail_retried")
		err = d.store.RetryMail(ctx, m, d.now().Add(backOff(m.Attempts)))
	} else {
		d.observe("mail_" + outcome)
		err = d.store.FinishMail(ctx, m, d.now(), outcome)
	}
	if err != nil { // the lease expires, and it is sent again
		d.fault(m, false, err)
	}
}

func (d *senders) fault(m models.Mail, givenUp bool, err error) {
	d.report(MailFault{ID: m.PublicID(), Kind: m.Kind, Attempts: m.Attempts, GivenUp: givenUp, Err: err})
}

func backOff(attempts int) time.Duration {
	return min(firstRetry<<min(attempts-1, 10), lastRetry)
}

// deliver sends a mail. Without an outcome it is to be tried again. An error beside an outcome is for people.
func (d *senders) deliver(ctx context.Context, m models.Mail, nobody bool) (string, error) {
	if !d.now().Before(m.ExpiresAt) {
		return models.MailExpired, errors.New("it could not be sent before it expired")
	}
	stop := ctx
	// A dialogue that is broken off when the process is told to stop may have delivered the mail already, and another
	// replica would send it again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailTime)
	defer cancel()
	message, err := d.compose(ctx, m)
	switch {
	case errors.Is(err, models.ErrNotFound):
		d.pretend(stop, nobody)
		return models.MailDropped, nil
	case errors.Is(err, errNoSecret):
		return models.MailDropped, err
	case err != nil:
		return "", err
	}
	message.To = mailbox(message.To)
	began := time.Now() //nolint:forbidigo // how long it takes, not when it is
	err = d.sender.Send(ctx, message)
	took := time.Since(began) //nolint:forbidigo // as above
	switch {
	case errors.Is(err, mail.ErrPermanent):
		return models.MailRefused, err
	case err != nil:
		return "", err
	}
	d.sendTime.Store(int64(min(took, longestPretence)))
	return models.MailSent, nil
}

// pretend takes as long as the last mail took to send, in place of sending one; see senders. A mail that was not known
// to be to nobody (its recipient has just left) does so if their part has room. A process that is told to stop does not
// wait.
func (d *senders) pretend(ctx context.Context, reserved bool) {
	if !reserved {
		if !tryHold(d.parts) {
			return
		}
		defer func() { <-d.parts }()
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(d.sendTime.Load())):
	}
}
