package models

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// Mail is a queued mail. It is stored in the transaction that causes it. It contains no token: the
// link is derived from TokenID and the server's secret when the mail is sent.
type Mail struct {
	ID        uuid.UUID `gorm:"primaryKey"`
	Kind      string
	Priority  MailPriority
	UserID    int64 // 0 if the mail has no user or the user is unknown
	Email     string
	EmailNorm string
	Locale    string
	Name      string
	NewEmail  string
	TokenID   *uuid.UUID
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt time.Time // the mail is not sent after this time
	Attempts  int
	NextAt    time.Time // the mail is not sent before this time; also the end of a lease
	Lease     *uuid.UUID
	DoneAt    *time.Time
	Outcome   string
}

// TableName is GORM's hook.
func (Mail) TableName() string { return "outbox" }

// PublicID identifies the mail outside of the database: in its Message-ID, in log lines and in file
// names. It is the same for each attempt. It is not the row's id, because the value of a link is
// derived from that id and the secret: an attacker who has a leaked secret and the log of a mail
// relay could compute the link. The id has 62 random bits besides its time, so its hash does not
// reveal it.
func (m Mail) PublicID() string {
	sum := sha256.Sum256(append([]byte("accounts mail "), m.ID[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// MailPriority determines the order of delivery. Mails with a lower number are sent first, and
// among equal ones the mail that has been due longest.
//
// Strangers can queue mails faster than a mail server accepts them, so their mails must not delay
// the others. A higher priority does not starve a lower one: mails of [PriorityKnown] are limited
// per user, recipient and staff member, so they do not fill the senders for long, and a reset uses
// a sender only if its address has an account.
type MailPriority int

// The priorities of a mail.
const (
	PriorityKnown        MailPriority = iota // caused by a signed-in user or a staff member, or a notice
	PriorityReset                            // anyone can request it for an address; it lets the owner log in again
	PriorityRegistration                     // anyone can request it for an address, and each is sent
)

// The outcomes of a mail.
const (
	MailSent    = "sent"
	MailDropped = "dropped" // it had no recipient anymore
	MailExpired = "expired"
	MailRefused = "refused" // rejected permanently by the recipient's server
)

func addMails(tx *gorm.DB, mails []Mail) error {
	if len(mails) == 0 {
		return nil
	}
	return tx.Create(&mails).Error
}

// mailQueue reads the outbox, and makes the writes of the workers that send its mails.
type mailQueue struct{ *database }

// DueMails returns at most limit mails of each priority that are due and that no worker has
// claimed, in the order of delivery. It queries each priority separately, so that mails that wait
// for a retry are not read.
func (s mailQueue) DueMails(ctx context.Context, now time.Time, limit int) ([]Mail, error) {
	var due []Mail
	for _, priority := range []MailPriority{PriorityKnown, PriorityReset, PriorityRegistration} {
		var list []Mail
		err := s.reads.WithContext(ctx).Where("done_at IS NULL AND priority = ? AND next_at <= ?", priority, now).
			Order("next_at").Limit(limit).Find(&list).Error
		if err != nil {
			return nil, translate(err)
		}
		due = append(due, list...)
	}
	return due, nil
}

// Recipients returns those of the addresses that belong to an active user.
func (s mailQueue) Recipients(ctx context.Context, emailNorms []string) ([]string, error) {
	var found []string
	if len(emailNorms) == 0 {
		return nil, nil
	}
	err := s.reads.WithContext(ctx).Model(&User{}).Where("email_norm IN ? AND is_active = ?", emailNorms, true).
		Pluck("email_norm", &found).Error
	return found, translate(err)
}

// Registrants returns those of the addresses that have a registration waiting for verification; see
// [Store.PendingRegistration].
func (s mailQueue) Registrants(ctx context.Context, emailNorms []string, now time.Time) ([]string, error) {
	var found []string
	if len(emailNorms) == 0 {
		return nil, nil
	}
	err := s.reads.WithContext(ctx).Model(&OneTimeToken{}).
		Where("email_norm IN ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", emailNorms, PurposeVerify, now).
		Pluck("email_norm", &found).Error
	return found, translate(err)
}

// ClaimMail claims a due mail for the duration of a lease. Until the lease expires, no other worker
// claims the mail. If this worker fails, another one claims the mail after that. Errors:
// ErrNotFound if another worker was faster.
//
// The claim is an UPDATE guarded by the values that were read, which works without SKIP LOCKED and
// on every node of a cluster.
func (s mailQueue) ClaimMail(ctx context.Context, m Mail, now time.Time, lease time.Duration) (Mail, error) {
	mine := uuid.Must(uuid.NewV7())
	result := s.db.WithContext(ctx).Model(&Mail{}).
		Where("id = ? AND done_at IS NULL AND next_at = ? AND attempts = ?", m.ID, m.NextAt, m.Attempts).
		Updates(map[string]any{"lease": mine, "next_at": now.Add(lease), "attempts": m.Attempts + 1})
	err := translate(result.Error)
	if errors.Is(err, ErrTransient) || err == nil && result.RowsAffected == 0 {
		err = ErrNotFound
	}
	m.Lease, m.Attempts = &mine, m.Attempts+1
	return m, err
}

// DropMails finishes mails that have no recipient and that no worker has claimed, in one statement.
// It returns how many it finished.
func (s mailQueue) DropMails(ctx context.Context, now time.Time, mails []Mail) (int, error) {
	if len(mails) == 0 {
		return 0, nil
	}
	ids := make([]uuid.UUID, 0, len(mails))
	for _, m := range mails {
		ids = append(ids, m.ID)
	}
	var dropped int64
	err := retry(ctx, func() error {
		result := s.db.WithContext(ctx).Model(&Mail{}).Where("id IN ? AND done_at IS NULL AND next_at <= ?", ids, now).
			Updates(map[string]any{"done_at": now, "outcome": MailDropped, "lease": nil})
		dropped = result.RowsAffected
		return result.Error
	})
	return int(dropped), err
}

// HasDueMails reports whether at least n mails of a priority are due. It reads no more than n rows.
func (s mailQueue) HasDueMails(ctx context.Context, priority MailPriority, now time.Time, n int) (bool, error) {
	var last []uuid.UUID
	err := s.reads.WithContext(ctx).Model(&Mail{}).Where("done_at IS NULL AND priority = ? AND next_at <= ?", priority, now).
		Order("next_at").Offset(n-1).Limit(1).Pluck("id", &last).Error
	return len(last) > 0, translate(err)
}

// FinishMail stores the outcome of a mail, and its recipient, which the caller may have cleared. It
// does nothing if the lease has expired.
func (s mailQueue) FinishMail(ctx context.Context, m Mail, now time.Time) error {
	return s.releaseMail(ctx, m, map[string]any{
		"done_at": now, "outcome": m.Outcome, "lease": nil, "email": m.Email, "email_norm": m.EmailNorm, "name": m.Name,
	})
}

// RetryMail schedules the next attempt and releases the lease. It does nothing if the lease has
// expired.
func (s mailQueue) RetryMail(ctx context.Context, m Mail, next time.Time) error {
	return s.releaseMail(ctx, m, map[string]any{"next_at": next, "lease": nil})
}

func (s mailQueue) releaseMail(ctx context.Context, m Mail, set map[string]any) error {
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Model(&Mail{}).Where("id = ? AND lease = ? AND done_at IS NULL", m.ID, m.Lease).Updates(set).Error
	})
}

// MailBacklog returns the number of mails that are neither delivered nor given up, and when the
// oldest of them was created. It includes mails that wait for another attempt, as all mails do
// while the mail server is down.
func (s mailQueue) MailBacklog(ctx context.Context) (n int, oldest time.Time, err error) {
	var undelivered int64
	waiting := func() *gorm.DB { return s.reads.WithContext(ctx).Model(&Mail{}).Where("done_at IS NULL") }
	if err := waiting().Count(&undelivered).Error; err != nil || undelivered == 0 {
		return 0, oldest, translate(err)
	}
	var first []Mail // empty if the last mail was delivered since the count
	if err := waiting().Order("created_at").Limit(1).Find(&first).Error; err != nil || len(first) == 0 {
		return 0, oldest, translate(err)
	}
	return int(undelivered), first[0].CreatedAt, nil
}
