package sessions

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// verdict is a row of the decision table; see the package documentation.
type verdict int

const (
	misdirected          verdict = iota + 1 // row 0b
	expired                                 // row 1
	revoked                                 // row 2
	rotate                                  // row 3: the next generation
	sameTokens                              // row 4: the tokens in force, which were presented
	successor                               // row 5: the tokens in force, which superseded the one presented
	rotatedByThisRequest                    // row 5 for a rotation by this request: the database's answer was lost
	reuse                                   // row 6
	regression                              // row 7
	undecidable                             // row 8
)

// decide implements the decision table: it returns the verdict on a refresh credential, given the
// row of its session and the time. It is a pure function. rotations are the values of RotatedAt
// that this request has written in UPDATEs whose outcome is unknown.
//
// Rows 1 and 2 precede any grace: a session that has ended gives no tokens, however recently its
// token was superseded. A missing row, which is row 2 even for an expired token, does not reach
// decide.
func (p Policy) decide(c Credential, attempt []byte, row models.SessionWithUser, now time.Time, rotations []time.Time) verdict {
	if !c.belongsTo(row.Session, forRefresh) {
		return misdirected
	}
	// The refresh credential of server_held is an access token. Its own exp has usually passed when
	// it is presented, and does not count.
	if c.isExpired(now) && transportOf(row.Session) != token.ServerHeld {
		return expired
	}
	if err := checkAlive(row, now); err != nil {
		if errors.Is(err, problem.New(problem.SessionExpired)) {
			return expired
		}
		return revoked
	}
	switch behind := row.Generation - c.Generation; {
	case behind < 0:
		return regression
	case behind == 0:
		return p.decideCurrent(now.Sub(row.RotatedAt))
	case behind == 1 && slices.ContainsFunc(rotations, row.RotatedAt.Equal):
		return rotatedByThisRequest
	default:
		return p.decideSuperseded(now.Sub(row.RotatedAt), behind == 1, isSameAttempt(attempt, row.Attempt))
	}
}

func (p Policy) decideCurrent(age time.Duration) verdict {
	if p.RotationInterval == 0 || age >= p.RotationInterval+p.Margin {
		return rotate
	}
	return sameTokens
}

// decideSuperseded returns the verdict on a superseded token. isLast means that no token has been
// superseded after it; only that token has a grace period. If age is below -Margin, this replica's
// clock is behind that of the replica that rotated. The verdict is then undecidable instead of
// reuse, except in the strict profile.
func (p Policy) decideSuperseded(age time.Duration, isLast, hasSameAttempt bool) verdict {
	switch {
	case p.RotationInterval == 0: // the strict profile: one use, no grace, no attempt
		return reuse
	case isLast && hasSameAttempt:
		return successor
	case age < -p.Margin:
		return undecidable
	case isLast && age <= p.RotationInterval:
		return successor
	}
	return reuse
}

func isSameAttempt(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }
