package accounts

import (
	"context"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// WriteEvents writes the events of rejected requests every second until ctx ends. It calls report
// with each error.
func (s systemOperations) WriteEvents(ctx context.Context, report func(error)) {
	s.audit.Run(ctx, report)
}

// FlushEvents writes the queued events of rejected requests now.
func (s systemOperations) FlushEvents(ctx context.Context) error { return s.audit.Flush(ctx) }

// recordRejectedLogin records a login that was rejected with err. The user of the name is looked up later, outside
// the request; see [audit.Log.RecordRejected]. Nothing is recorded if the client has exceeded its
// own limit, because that does not concern the account.
func (s sessionOperations) recordRejectedLogin(client Client, name names.Login, err error) {
	r := audit.Rejection{Event: audit.Event{Client: client}, FindUser: func(ctx context.Context) (int64, error) {
		u, err := s.userOfLogin(ctx, name)
		return u.ID, err
	}}
	switch {
	case errors.Is(err, problem.New(problem.CredentialsInvalid)):
		r.Event.Kind, r.Subjects = models.EventLoginFailed, []string{name.Norm, client.Network().Narrow}
	case errors.Is(err, problem.New(problem.RateLimited)) && ratelimit.IsExceeded(err, loginFailuresOfName, loginFailuresOfKnownNetwork, rightPasswordsOfUser):
		r.Event.Kind, r.Subjects = models.EventRateLimited, []string{name.Norm}
	default:
		return
	}
	s.audit.RecordRejected(r)
}
