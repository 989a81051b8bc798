// Package ratelimit limits how often something may happen. It counts in the database, so that all
// replicas share the counts.
//
// A caller counts an action before it happens ([Limiter.Allow]), so that of several concurrent
// requests only one gets the last permitted action, and refunds it if the action could not be
// carried out ([Limiter.Refund]). [Limiter.Verify] does both for guesses at a secret, such as a
// password. [Count] counts in the caller's own transaction.
//
// The package does not know what is limited. Callers name their limits by kinds.
package ratelimit

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/hosts"
)

// Limit permits N actions in a window of Per that begins with the first, each at least Pause after
// the one before. N = 0 is no limit. After Per, it permits actions again, so no limit locks anyone
// out for good.
type Limit struct {
	N          int
	Per, Pause time.Duration
}

// The wide network of a client is counted too, as wideShare clients, because it can hold many
// networks of the same sender.
const wideShare = 8

// perClient is the suffix of the kinds of limits per client.
const perClient = "_client"

// For returns a use of the limit: one action of a subject. The kind keeps equal subjects of
// different limits apart. All limits of one kind must have the same sort of subject, such as a
// user's id.
func (l Limit) For(kind, subject string) models.RateLimitUse {
	return models.RateLimitUse{ID: ID(kind, subject), Kind: kind, Limit: l.N, Per: l.Per, Pause: l.Pause}
}

// ForClient returns the uses of the limit by one action of a client: a use by the narrow network
// and, if the wide network differs, a use by the wide network. It appends "_client" to the kind.
func (l Limit) ForClient(kind string, from hosts.Network) []models.RateLimitUse {
	uses := []models.RateLimitUse{l.For(kind+perClient, from.Narrow)}
	if from.Wide != from.Narrow {
		l.N *= wideShare
		uses = append(uses, l.For(kind+perClient, from.Wide))
	}
	return uses
}

// ForUser returns a use of the limit: one action of a user.
func (l Limit) ForUser(kind string, id int64) models.RateLimitUse {
	return l.For(kind, SubjectOfUser(id))
}

// SubjectOfUser returns the subject of a user's limits, which does not depend on the user's names.
func SubjectOfUser(id int64) string { return strconv.FormatInt(id, 10) }

// ID returns the id of the row that counts the actions of a subject.
func ID(kind, subject string) uuid.UUID {
	sum := sha256.Sum256([]byte(kind + "\x00" + subject))
	return uuid.UUID(sum[:16])
}
