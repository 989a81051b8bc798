package accounts

import (
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/sessions"
	"example.com/accounts/server/token"
)

// LegacySecrets holds the secrets with which the Django service signed its refresh tokens, and the
// time from which none of its tokens is accepted. The zero value accepts none.
type LegacySecrets struct {
	Secrets []string
	Until   time.Time
}

// tokens returns the hook for the refresh tokens of the Django service.
func (l LegacySecrets) tokens() sessions.LegacyTokens {
	return sessions.LegacyTokens{
		Verify: token.NewLegacyVerifier(l.Secrets).Refresh,
		Admits: isAsImported,
		Until:  l.Until,
		Detail: "with a refresh token of the Django service",
	}
}

// isAsImported reports whether the user was imported and is still in the epoch of the import. Since
// then, the password has not been changed, the sessions have not all been revoked, and the user has
// not been deactivated. Each of these also revokes the tokens of the Django service. ImportedEpoch
// never changes. The transaction of the login checks the user's epoch again, so the session begins
// only if the result is still true.
func isAsImported(u models.User) bool {
	return u.ImportedEpoch != nil && *u.ImportedEpoch == u.SessionEpoch
}
