package accounts

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/names"
)

// setRole grants the role of the Django user if the user's address is verified. Without that, a
// stranger who has typed a colleague's address could have been given the colleague's role. Each
// granted role has a line in the report, so that the operator sees every privilege that the source
// grants.
func (p *importPlan) setRole(u *models.User, row DjangoUser) {
	switch {
	case !row.IsStaff && !row.IsSuperuser:
		return
	case u.EmailVerifiedAt == nil:
		p.report(roleNotImported, u.ID)
		return
	case row.IsSuperuser:
		p.report(madeSuperuser, u.ID)
	default:
		p.report(madeStaff, u.ID)
	}
	u.IsStaff, u.IsSuperuser = row.IsStaff, row.IsSuperuser
}

// setAddress sets the user's address. It counts as verified only if the source proves it or the
// operator states it: Django itself stores the address as typed. A user without an address still
// needs a unique value in the column, which is one that cannot be typed as an address.
func (p *importPlan) setAddress(u *models.User, c importCandidate) {
	u.EmailNorm = "#" + strconv.FormatInt(u.ID, 10)
	switch {
	case c.email == "":
		p.report(withoutAddress, u.ID)
		if _, ok := names.NormalizeEmail(u.Username); ok { // Django has not verified it, so it does not become the address
			p.report(nameIsAddress, u.ID)
		}
	case p.holder(asEmail, c.email) != 0:
		p.report(addressTaken, u.ID)
	case p.i.proofs.isProvedElsewhere(u.ID, c.email):
		p.report(addressProvedElsewhere, u.ID)
	default:
		p.keepAddress(u, c)
	}
	if strings.Contains(u.UsernameNorm, "@") && p.holder(asEmail, u.UsernameNorm) != 0 {
		p.report(usernameIsAddress, u.ID)
	}
}

func (p *importPlan) keepAddress(u *models.User, c importCandidate) {
	u.Email, u.EmailNorm = strings.TrimSpace(c.row.Email), c.email
	if p.i.isVerified(u.ID, c.email) {
		u.EmailVerifiedAt = &p.i.at
	} else {
		p.report(addressUnproved, u.ID)
	}
	if other := p.holder(asUsername, c.email); other != 0 {
		p.report(usernameIsAddress, other)
	}
}

func (p *importPlan) setDetails(u *models.User, row DjangoUser) {
	u.FirstName, u.LastName = cleanName(row.FirstName), cleanName(row.LastName)
	if u.FirstName != row.FirstName || u.LastName != row.LastName {
		p.report(nameCleaned, u.ID)
	}
	var ok bool
	if u.LastLogin, ok = p.plausibleTime(row.LastLogin); !ok {
		p.report(lastLoginUnknown, u.ID)
	}
	joined, ok := p.plausibleTime(row.DateJoined)
	if !ok || joined == nil {
		p.report(joinedUnknown, u.ID)
		joined = &p.i.at
	}
	u.DateJoined = *joined
}

// cleanName removes hidden characters and shortens a name so that [names.IsPersonName] accepts it.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if names.IsInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if name = models.Truncate(name, names.MaxPersonName); strings.TrimSpace(name) == "" {
		return ""
	}
	return name
}

// plausibleTime returns a time in UTC, and reports whether it is plausible: from 1970 until now,
// with a day's tolerance for the time zone of the clock that wrote it. A missing time is plausible.
func (p *importPlan) plausibleTime(t *time.Time) (*time.Time, bool) {
	if t == nil {
		return nil, true
	}
	if t.Unix() < 0 || t.After(p.i.at.Add(24*time.Hour)) {
		return nil, false
	}
	utc := t.UTC().Truncate(time.Microsecond)
	return &utc, true
}

const maxHash = 255 // characters, of the column

// setPassword keeps the stored hash if it can be verified. It stores none for Django's mark of a user
// without a password.
func (p *importPlan) setPassword(u *models.User, hash string) {
	u.Password = ""
	err := credentials.CheckStored(hash)
	switch {
	case !credentials.IsUsable(hash):
		p.report(passwordNone, u.ID)
	case errors.Is(err, credentials.ErrTooCostly):
		p.report(passwordCostly, u.ID)
	case err != nil || len(hash) > maxHash || strings.HasPrefix(hash, "$"): // "$": this server's format, whose cost a login never lowers
		p.report(passwordUnknown, u.ID)
	default:
		u.Password = models.PasswordHash(hash)
	}
	if u.Password == "" && u.Email == "" {
		p.report(noWayIn, u.ID)
	}
}
