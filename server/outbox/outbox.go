// Package outbox is the transactional outbox of mails: an operation queues a mail in the transaction
// that causes it, and the workers of every replica claim, compose and send the mails that are due.
//
// The outbox contains no token. The link of a mail is derived from an id and the server's secret
// when the mail is composed.
package outbox

import (
	"context"
	"crypto/sha256"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/token"
)

// Retention is how long mails are kept after they have an outcome.
const Retention = 7 * 24 * time.Hour

// Link is a kind of link in mails: the page that it opens, and how long it is valid.
type Link struct {
	Page  string // a URL
	Valid time.Duration
}

// Options configures an Outbox.
type Options struct {
	Store                      *models.Store
	Ring                       *token.KeyRing
	Now                        func() time.Time
	Count                      metrics.Count
	Verify, EmailChange, Reset Link
	Senders                    int // mails that are sent at once; see senders
	// Mailbox returns an address as mail programs accept it.
	Mailbox func(address string) string
}

// Outbox queues and sends mails. It is safe for concurrent use.
type Outbox struct {
	Options
	kinds    map[string]kind
	wake     chan struct{}
	backlogs backlogs
}

// New returns an Outbox. It does not query the database.
func New(o Options) *Outbox {
	return &Outbox{Options: o, kinds: kindsOf(o), wake: make(chan struct{}, 1)}
}

// Queue queues mails in the transaction that causes them. The caller calls [Outbox.Wake] after the
// transaction has committed.
func Queue(tx *models.Tx, mails ...models.Mail) error { return tx.AddMails(mails...) }

// QueueWithin queues a mail and counts it in its rate limit, in the same transaction. If the mail
// were counted earlier, a fault in between would deny the mail to a user who requests it again. It
// reports whether the mail was queued: not if the limit is exceeded, which rolls nothing back.
func QueueWithin(tx *models.Tx, m models.Mail, limit models.RateLimitUse) (queued bool, err error) {
	allowed, err := ratelimit.CountIfAllowed(tx, limit)
	if err != nil || !allowed {
		return false, err
	}
	return true, Queue(tx, m)
}

// QueueAlone queues a mail that belongs to no other write, if the rate limit permits it. It reports
// whether the mail was queued.
func (o *Outbox) QueueAlone(ctx context.Context, m models.Mail, limit models.RateLimitUse) (queued bool, err error) {
	err = o.Store.Tx(ctx, func(tx *models.Tx) error {
		queued, err = QueueWithin(tx, m, limit)
		return err
	})
	return queued, err
}

// CancelLinks drops the queued mails to an address that would contain a new link. Such a link would
// be created after the event that must end every link of the user.
func CancelLinks(tx *models.Tx, emailNorm string) error {
	return tx.CancelMails(emailNorm, linksOnDelivery()...)
}

// Wake tells the senders of this process that there may be something to send.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// NewToken returns the one-time token behind the link of a mail. Its value is a function of its id
// and the server's secret.
func (o *Outbox) NewToken(purpose string, m models.Mail) models.OneTimeToken {
	return models.OneTimeToken{
		ID: m.ID, Purpose: purpose, Hash: HashOf(o.Ring.OneTime(m.ID)), CreatedAt: m.CreatedAt, ExpiresAt: m.ExpiresAt,
	}
}

// HashOf returns the hash of a link's token. The database stores only the hash, so a stolen copy of
// it opens no link.
func HashOf(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}
