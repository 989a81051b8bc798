package accounts

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/names"
)

const (
	mailLease  = time.Minute      // longer than one delivery may take
	mailPoll   = 2 * time.Second  // how soon a worker sees mails that another replica queued
	firstRetry = 5 * time.Second  // then twice as long each time
	lastRetry  = 15 * time.Minute // but not longer than this
	mailTime   = 30 * time.Second // bound on one delivery

	longestDecoy = 10 * time.Second
	mailBatch    = 256              // mails of a priority that are read at once
	decoyWait    = 5 * time.Second  // the most that decoys may delay a real mail by
	decoyPart    = 3                // in a flood, decoys hold at most one of so many places
	noMailPause  = 10 * time.Second // after an error of the database
)

// MailFault describes a mail that was not sent. It contains neither the id of the row nor an
// address, so it can be logged.
type MailFault struct {
	ID       string // see models.Mail.PublicID
	Kind     string
	Attempts int
	GivenUp  bool // the mail will not be retried
	Err      error
}

// senders sends the mails of the outbox. One goroutine reads the mails that are due and finds out
// whether each has a recipient. A mail that has one is sent by a goroutine of its own, as long as a
// place among the senders is free.
//
// Strangers can request mails for addresses that have no account, and a flood of those must not
// delay the mail of every user. But an observer can time mails: an observer who requests a reset
// for another person's address, and then one for their own, must not see by the arrival of the
// second mail whether the first was sent. So a mail without a recipient is a decoy: it waits for a
// place in its turn, and holds it for as long as the last real mail took to send.
//
// That ends where it would cost too much: in a flood, when the decoys that are due would take all
// places for decoyWait. Then decoys hold at most a third of the places, and the other mails without
// a recipient are finished at once, many in one statement. So in a flood real mails have two thirds
// of the places, and a thousand mails without a recipient take a few seconds.
//
// One difference can still be timed, in a flood: while decoys hold their third and real mails hold
// all other places but one, another real mail makes the next mail wait, and another mail without a
// recipient does not. To see it, the observer must make the flood (at half a second for a mail,
// sixty requests at once from networks of their own) and fill the other places with mails to
// mailboxes of their own, while no other mail is sent.
//
// Mails of signed-in users and staff are sent first, and so could delay all others: an attacker
// with many accounts can cause two mails with each change of address. These mails, and mails that
// have failed before, hold at most two thirds of the places. The rest is for requests of strangers
// that are sent for the first time, so a reset always has a place.
type senders struct {
	*Service
	sender mail.Sender
	report func(MailFault)
	places chan struct{} // holds one for each mail in flight
	decoys chan struct{} // holds one for each of those that is a decoy
	pushed chan struct{} // holds one for each of those that isPushed
	all    sync.WaitGroup
}

// SendMails sends the mails that are due until ctx ends, several at once. Every replica does so.
// Each mail is sent by one of them, and by another one if that replica fails. report is called with
// each fault, from several goroutines.
func (s *Service) SendMails(ctx context.Context, sender mail.Sender, report func(MailFault)) {
	n := max(decoyPart, s.settings.MailSenders)
	d := &senders{
		Service: s, sender: sender, report: report, places: make(chan struct{}, n), decoys: make(chan struct{}, n/decoyPart),
		pushed: make(chan struct{}, n-n/decoyPart),
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

// sendDue starts to send mails until none is due or every sender is busy. A sender that finishes
// wakes SendMails. sendDue returns how long to wait without that.
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

// sendBatch starts to send the first mails that are due, and finishes those among them that have
// neither a recipient nor a place as decoys. It returns whether there may be more that need not
// wait for a place.
func (d *senders) sendBatch(ctx context.Context) (more bool, err error) {
	due, err := d.store.DueMails(ctx, d.now(), mailBatch)
	if err != nil {
		return false, err
	}
	absent, err := d.withoutRecipient(ctx, due)
	if err != nil {
		return false, err
	}
	dropped, waiting, err := d.dispatch(ctx, due, absent, d.isFlood(len(due), len(absent)))
	return hasMore(due, waiting), errors.Join(err, d.drop(ctx, dropped))
}

// isFlood reports whether the decoys among the mails that are due would delay a real one for too
// long.
func (d *senders) isFlood(due, decoys int) bool {
	wait := time.Duration(decoys) * time.Duration(d.sendTime.Load()) / time.Duration(cap(d.places))
	return due >= mailBatch || wait > decoyWait
}

// hasMore reports whether there may be mails beyond the batch of a line that are not behind one
// that waits.
func hasMore(due []models.Mail, waiting map[mailLine]bool) bool {
	seen := map[models.MailPriority]int{}
	for _, m := range due {
		if !waiting[lineOf(m)] {
			seen[m.Priority]++
		}
	}
	for _, n := range seen {
		if n == mailBatch {
			return true
		}
	}
	return false
}

// mailLine is the mails that are sent in their order. If one of them waits for a place, so do those
// behind it.
type mailLine struct {
	priority models.MailPriority
	pushed   bool
}

func lineOf(m models.Mail) mailLine { return mailLine{m.Priority, isPushed(m)} }

// isPushed reports whether a mail goes before others, or takes a place again and again; see
// senders.
func isPushed(m models.Mail) bool { return m.Priority == models.PriorityKnown || m.Attempts > 0 }

// dispatch begins to send mails in their order, until the next of each line finds no place. It
// returns those that need none.
func (d *senders) dispatch(
	ctx context.Context, due []models.Mail, absent map[models.ID]bool, flood bool,
) (dropped []models.Mail, waiting map[mailLine]bool, err error) {
	waiting = map[mailLine]bool{}
	for _, m := range due {
		if waiting[lineOf(m)] {
			continue
		}
		excess := flood && absent[m.ID]
		release, free := d.reserve(m, excess)
		switch {
		case free:
			if err := d.begin(ctx, m, absent[m.ID], release); err != nil {
				return dropped, waiting, err
			}
		case excess:
			dropped = append(dropped, m)
		default:
			waiting[lineOf(m)] = true
		}
	}
	return dropped, waiting, nil
}

// withoutRecipient returns the mails that must not be sent, because the address that a stranger
// typed does not have the account or the registration that the request was about. They are looked
// up together, before they are claimed, so that a flood of requests costs a few statements per
// batch. compose checks the same again for each mail that is sent.
func (d *senders) withoutRecipient(ctx context.Context, due []models.Mail) (map[models.ID]bool, error) {
	asked := map[string][]string{}
	for _, m := range due {
		if m.Priority != models.PriorityKnown {
			asked[m.Kind] = append(asked[m.Kind], m.EmailNorm)
		}
	}
	users, err := d.store.Recipients(ctx, asked[string(mail.Reset)])
	if err != nil {
		return nil, err
	}
	registrants, err := d.store.Registrants(ctx, asked[string(resend)], d.now())
	if err != nil {
		return nil, err
	}
	found := map[string][]string{string(mail.Reset): users, string(resend): registrants}
	absent := map[models.ID]bool{}
	for _, m := range due {
		known, isAsked := found[m.Kind]
		if isAsked && m.Priority != models.PriorityKnown && !slices.Contains(known, m.EmailNorm) {
			absent[m.ID] = true
		}
	}
	return absent, nil
}

// reserve takes a place if one is free. The decoys of a flood, and pushed mails, get at most their
// part of the places.
func (d *senders) reserve(m models.Mail, decoy bool) (release func(), held bool) {
	needed := []chan struct{}{d.places}
	if decoy {
		needed = append(needed, d.decoys)
	}
	if isPushed(m) {
		needed = append(needed, d.pushed)
	}
	for i, places := range needed {
		if !tryHold(places) {
			free(needed[:i])
			return nil, false
		}
	}
	return func() { free(needed) }, true
}

func free(held []chan struct{}) {
	for _, places := range held {
		<-places
	}
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
func (d *senders) begin(ctx context.Context, m models.Mail, decoy bool, release func()) error {
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
		d.send(ctx, m, decoy)
	})
	return nil
}

// drop finishes mails without a recipient.
func (d *senders) drop(ctx context.Context, mails []models.Mail) error {
	n, err := d.store.DropMails(ctx, d.now(), mails)
	for range n {
		d.observe("mail_dropped")
	}
	return err
}

// send delivers a mail that has been claimed, and stores the outcome.
func (d *senders) send(ctx context.Context, m models.Mail, decoy bool) {
	outcome, err := d.deliver(ctx, m, decoy)
	if err != nil {
		d.fault(m, outcome != "", err)
	}
	// The outcome must be stored even if the process has been told to stop. Otherwise the mail is
	// sent again.
	ctx, cancel := deadline(ctx)
	defer cancel()
	if outcome == "" {
		d.observe("mail_retried")
		err = d.store.RetryMail(ctx, m, d.now().Add(backOff(m.Attempts)))
	} else {
		d.observe("mail_" + outcome)
		err = d.store.FinishMail(ctx, m, d.now(), outcome)
	}
	if err != nil { // the lease expires, and the mail is sent again
		d.fault(m, false, err)
	}
}

func (d *senders) fault(m models.Mail, givenUp bool, err error) {
	d.report(MailFault{ID: m.PublicID(), Kind: m.Kind, Attempts: m.Attempts, GivenUp: givenUp, Err: err})
}

func backOff(attempts int) time.Duration {
	return min(firstRetry<<min(attempts-1, 10), lastRetry)
}

// deliver sends a mail and returns the outcome. An empty outcome means that the mail is to be
// retried. An error that comes with an outcome is for the log.
func (d *senders) deliver(ctx context.Context, m models.Mail, decoy bool) (string, error) {
	if !d.now().Before(m.ExpiresAt) {
		return models.MailExpired, errors.New("it could not be sent before it expired")
	}
	stop := ctx
	// If the process is told to stop, the dialogue continues: an interrupted one may have
	// delivered the mail already, and another replica would send it again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailTime)
	defer cancel()
	message, err := d.compose(ctx, m)
	switch {
	case errors.Is(err, models.ErrNotFound):
		d.holdDecoy(stop, decoy)
		return models.MailDropped, nil
	case errors.Is(err, errNoSecret):
		return models.MailDropped, err
	case err != nil:
		return "", err
	}
	message.To = names.Mailbox(message.To)
	began := time.Now() //nolint:forbidigo // measures a duration
	err = d.sender.Send(ctx, message)
	took := time.Since(began) //nolint:forbidigo // as above
	switch {
	case errors.Is(err, mail.ErrPermanent):
		return models.MailRefused, err
	case err != nil:
		return "", err
	}
	d.sendTime.Store(int64(min(took, longestDecoy)))
	return models.MailSent, nil
}

// holdDecoy waits for as long as the last mail took to send; see senders. A mail that has lost its
// recipient since it was dispatched becomes a decoy if the part of decoys has room. holdDecoy does
// not wait if the process is told to stop.
func (d *senders) holdDecoy(ctx context.Context, reserved bool) {
	if !reserved {
		if !tryHold(d.decoys) {
			return
		}
		defer func() { <-d.decoys }()
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(d.sendTime.Load())):
	}
}
