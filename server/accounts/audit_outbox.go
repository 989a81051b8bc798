package accounts

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/names"
	"example.com/accounts/server/outbox"
)

// The names by which the operations use the packages audit, outbox and metrics until each of them
// calls these packages itself.

// Client describes the sender of a request.
type Client = audit.Client

// MailFault describes a mail that was not sent.
type MailFault = outbox.Fault

// ErrBacklog is the cause of ServiceUnavailable if too many requested mails wait to be sent.
var ErrBacklog = outbox.ErrBacklog

const (
	resend   = outbox.Resend
	keepMail = outbox.Retention
)

var (
	usernameChange = audit.UsernameChange
	profileChanges = audit.ProfileChanges
	activeChange   = audit.ActiveChange
	roleChanges    = audit.RoleChanges
	grantedRoles   = audit.GrantedRoles
	lostRoles      = audit.LostRoles
)

func (s *Service) observe(name string) { s.count(metrics.Counter(name)) }

func (s *Service) event(kind models.EventKind, userID int64, client Client, detail string) models.Event {
	return audit.Event{Kind: kind, UserID: userID, Client: client, Detail: detail}.Row(s.now())
}

func (s *Service) eventIn(session models.ID, kind models.EventKind, userID int64, client Client, detail string) models.Event {
	return audit.Event{Kind: kind, UserID: userID, SessionID: session, Client: client, Detail: detail}.Row(s.now())
}

func changing(e models.Event, changes models.Changes) models.Event {
	e.Changes = changes
	return e
}

func (s *Service) pageOfEvents(ctx context.Context, q models.EventQuery) ([]models.Event, uuid.UUID, error) {
	return s.audit.List(ctx, q)
}

func (s *Service) mayRecord(ctx context.Context, u models.User, kind string) bool {
	return audit.MayRecord(s.spend(ctx, use(s.settings.RareActionsPerUser, kind, subjectOf(u))))
}

func (s *Service) noteLogin(in LoginInput, name names.Login, err error) {
	s.recordRejectedLogin(in.Client, name, err)
}

// notePassword records a wrong password. e has no kind, and becomes an event again.
func (s *Service) notePassword(e models.Event, client Client, err error) {
	event := audit.Event{UserID: e.UserID, Client: client, Detail: e.Detail}
	if e.SessionID != nil {
		event.SessionID = *e.SessionID
	}
	s.recordRejectedPassword(event, err)
}

// newMail ignores life: the package outbox knows how long each kind is valid.
func (s *Service) newMail(kind mail.Kind, _ time.Duration, client Client) models.Mail {
	return s.outbox.NewRequest(kind, "", "", client)
}

func (s *Service) mailTo(u models.User, kind mail.Kind, client Client) models.Mail {
	return s.outbox.NewMailTo(u, kind, client)
}

func (s *Service) notices(u models.User, kind mail.Kind, client Client) []models.Mail {
	return s.outbox.NewNotices(u, kind, client)
}

func requestPriority(kind mail.Kind) mail.Kind { return kind }

func (s *Service) admitMail(ctx context.Context, kind mail.Kind) error {
	return s.outbox.CheckBacklog(ctx, kind)
}

func (s *Service) queued(queued bool, err error) error { return s.answerMailRequest(queued, err) }

func (s *Service) wakeMail() { s.outbox.Wake() }

func (s *Service) mailBudget(kind mail.Kind, emailNorm string) models.RateLimitUse {
	return s.recipientLimit(kind, emailNorm)
}

// firstOf returns the first n characters.
func firstOf(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
