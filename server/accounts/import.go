package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// DjangoUser is a row of Django's user table, unchanged, with NULL as the empty value. A time that
// cannot be read is the zero time.
type DjangoUser struct {
	ID                                             int64
	Username, Email, FirstName, LastName, Password string
	IsActive, IsStaff, IsSuperuser                 bool
	LastLogin, DateJoined                          *time.Time
}

// DjangoToken is a refresh token on simplejwt's blacklist. UserID is 0 if its user is gone, and
// ExpiresAt is zero if it cannot be read.
type DjangoToken struct {
	JTI       string
	UserID    int64
	ExpiresAt time.Time
}

// DjangoAddress is a row of django-allauth's table account_emailaddress: an address of a user, and
// whether the user has verified it. UserID is 0 if it is not a number.
type DjangoAddress struct {
	UserID   int64
	Email    string
	Verified bool
}

// importRule is a rule for data that cannot be imported unchanged.
type importRule int

// The rules, in the order of the report. From refusedID on, the user is not imported.
const (
	madeSuperuser importRule = iota
	madeStaff
	roleLeft
	addressUnproved
	withoutAddress
	nameIsAddress
	addressTaken
	addressProvedElsewhere
	usernameTaken
	usernameMade
	usernameIsAddress
	nameCleaned
	joinedUnknown
	lastLoginUnknown
	passwordNone
	passwordUnknown
	passwordCostly
	noWayIn
	refusedID
	refusedIDTaken
	refusedDeleted
	refusedUsername
	importRules
)

var importTexts = [importRules]string{
	madeSuperuser:          "superuser in Django: is a superuser with every permission",
	madeStaff:              "staff in Django: can manage ordinary users, whatever the Django permissions were",
	roleLeft:               "superuser or staff in Django, address not verified: imported without the role; when the address is verified, a superuser can grant it; see --help",
	addressUnproved:        "e-mail address not verified in Django: imported as not verified; the user can log in, but gets no notices until a password reset by mail verifies the address",
	withoutAddress:         "e-mail address empty or not valid: imported without one",
	nameIsAddress:          "username is an e-mail address, and the user has no address: after another user verifies that address, it logs in that user instead",
	addressTaken:           "e-mail address belongs to another user: imported without one",
	addressProvedElsewhere: "e-mail address is verified in Django for another user: imported without one",
	usernameTaken:          "username belongs to another user: -ID added, or replaced by user-ID",
	usernameMade:           "username empty or not usable: replaced by user-ID",
	usernameIsAddress:      "username is another user's e-mail address: after the other user verifies it, this user can log in only by their own address, and not at all without one",
	nameCleaned:            "first or last name too long or with hidden characters: shortened, hidden characters removed",
	joinedUnknown:          "date_joined missing or implausible: set to the time of the import",
	lastLoginUnknown:       "last_login implausible: set to never",
	passwordNone:           "no usable password in Django: imported without a password",
	passwordUnknown:        "password hash of an unknown kind: the user must set a new password by mail",
	passwordCostly:         "password hash too costly to verify: the user must set a new password by mail",
	noWayIn:                "neither password nor address: the user cannot log in until an operator sets a password",
	refusedID:              "id is not from 1 to 2^52",
	refusedIDTaken:         "id belongs to a user who was not imported",
	refusedDeleted:         "was deleted from this service: not imported again",
	refusedUsername:        "no username is free",
}

// ImportLine reports how often a rule applied, and the first users it applied to. It contains only
// their ids, no addresses or names.
type ImportLine struct {
	Text  string
	Count int
	IDs   []int64
}

const importIDs = 10 // the most ids in a line

// ImportReport counts the users and tokens so far. Here counts the users that an earlier run
// imported. Met has the rules that applied to imported users, Refused those that excluded users.
type ImportReport struct {
	Read, Imported, Here, Tokens int
	Met, Refused                 []ImportLine
}

// LeftOut returns how many users were not imported.
func (r ImportReport) LeftOut() int { return r.Read - r.Imported - r.Here }

// ImportOptions are the options of an import.
type ImportOptions struct {
	Dry            bool // report the result of the import, and write nothing
	EmailsVerified bool // the operator states that Django verified every address, except those that allauth marks as unverified
}

// Import is one run of an import from Django. Batches must come in the order of ids: if two users
// have the same name, the one with the lower id keeps it, so that an interrupted run that is
// repeated has the same result as an uninterrupted one.
type Import struct {
	ImportOptions

	s                            *Service
	at                           time.Time
	proofs                       proofs
	given                        holders // in a dry run: the users so far, which the database does not have
	lines                        [importRules]ImportLine
	read, imported, here, tokens int
}

// NewImport starts an import.
func (s *Service) NewImport(o ImportOptions) *Import {
	return &Import{ImportOptions: o, s: s, at: s.now(), proofs: newProofs(), given: newHolders()}
}

// Report returns the report of the users and tokens so far.
func (i *Import) Report() ImportReport {
	r := ImportReport{Read: i.read, Imported: i.imported, Here: i.here, Tokens: i.tokens}
	for rule, line := range i.lines {
		line.Text = importTexts[rule]
		switch {
		case line.Count == 0:
		case importRule(rule) < refusedID:
			r.Met = append(r.Met, line)
		default:
			r.Refused = append(r.Refused, line)
		}
	}
	return r
}

// Begin reserves the ids up to the greatest one of the source for the import: users who sign up
// during the import get greater ones. Errors: ServiceUnavailable.
func (i *Import) Begin(ctx context.Context, greatest int64) error {
	if i.Dry || greatest < 1 {
		return nil
	}
	return problem.FromStore(i.s.store.ReserveIDs(ctx, min(greatest, MaxImportedID)))
}

// keepBlacklisted is how long blacklisted tokens are kept at least: the longest time that
// ACCOUNTS_LEGACY_JWT_UNTIL can be ahead. The expiry in the blacklist is the one that a token had
// when it was created. It is too early if the project gave the token a longer life afterwards
// ("remember me").
const keepBlacklisted = 400 * 24 * time.Hour

// Tokens records that tokens have been used, so that they are not accepted here. Call it before
// Users: tokens are worthless until their users are imported. Errors: ServiceUnavailable.
func (i *Import) Tokens(ctx context.Context, batch []DjangoToken) error {
	var used []models.OneTimeToken
	for _, t := range batch {
		if t.JTI == "" || !t.ExpiresAt.IsZero() && !i.at.Before(t.ExpiresAt) {
			continue
		}
		end := i.at.Add(keepBlacklisted)
		if t.ExpiresAt.After(end) {
			end = t.ExpiresAt
		}
		hash := token.LegacyJTI(t.JTI)
		used = append(used, models.OneTimeToken{
			ID: models.ID(uuid.Must(uuid.NewV7())), Purpose: models.PurposeLegacyRefresh, Hash: hash[:], UserID: max(0, t.UserID),
			CreatedAt: i.at, ExpiresAt: end.UTC().Truncate(time.Microsecond), UsedAt: &i.at,
		})
	}
	if !i.Dry {
		if err := i.s.store.ImportUsedTokens(ctx, used); err != nil {
			return problem.FromStore(err)
		}
	}
	i.tokens += len(used)
	return nil
}

const importTries = 5

// Users imports a batch, all of it or none. If a user signs up with a name of the batch at the same
// moment, it plans the batch again. Errors: ServiceUnavailable.
func (i *Import) Users(ctx context.Context, batch []DjangoUser) error {
	var err error
	for range importTries {
		var p *importPlan
		if p, err = i.plan(ctx, batch); err != nil {
			return problem.FromStore(err)
		}
		if !i.Dry {
			err = i.s.store.ImportUsers(ctx, p.users, p.events)
		}
		if err == nil {
			i.count(p, len(batch))
			return nil
		}
		if !errors.Is(err, models.ErrConflict) {
			return problem.FromStore(err)
		}
	}
	return problem.Unavailable(err)
}

func (i *Import) count(p *importPlan, read int) {
	i.read, i.imported, i.here = i.read+read, i.imported+len(p.users), i.here+p.here
	for _, f := range p.findings {
		line := &i.lines[f.rule]
		line.Count++
		if len(line.IDs) < importIDs {
			line.IDs = append(line.IDs, f.id)
		}
	}
	if i.Dry {
		for _, u := range p.users {
			i.given.add(u)
		}
	}
}

// holders records which user has a name: an existing user, or one from an earlier row of the same
// run.
type holders struct {
	ids   map[int64]bool // whether the user was imported
	names map[[16]byte]int64
}

func newHolders() holders { return holders{map[int64]bool{}, map[[16]byte]int64{}} }

// Kinds of names.
const (
	asUsername = "username"
	asEmail    = "email"
)

// nameKey returns a short hash of a name, because a dry run keeps the names of all users in memory.
func nameKey(kind, norm string) [16]byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + norm))
	return [16]byte(sum[:16])
}

func (h holders) add(u models.User) {
	h.ids[u.ID] = u.ImportedEpoch != nil
	h.names[nameKey(asUsername, u.UsernameNorm)] = u.ID
	h.names[nameKey(asEmail, u.EmailNorm)] = u.ID
}

type finding struct {
	rule importRule
	id   int64
}

// importPlan is the result of the rules for a batch.
type importPlan struct {
	i        *Import
	before   holders // existing users, and those of the batch that have been planned
	users    []models.User
	events   []models.Event
	findings []finding
	here     int
	deleted  []int64 // the users of the batch that were deleted here
}

func (i *Import) plan(ctx context.Context, batch []DjangoUser) (*importPlan, error) {
	p := &importPlan{i: i, before: newHolders()}
	wishes := make([]importWish, 0, len(batch))
	var ids []int64
	var norms []string
	for _, row := range batch {
		w := newUserPatch(row)
		wishes = append(wishes, w)
		ids = append(ids, row.ID)
		for _, name := range w.usernames {
			norms = append(norms, name.norm)
		}
		if w.email != "" {
			norms = append(norms, w.email)
		}
	}
	here, err := i.s.store.NameHolders(ctx, ids, norms)
	if err != nil {
		return nil, err
	}
	for _, u := range here {
		p.before.add(u)
	}
	if p.deleted, err = i.s.store.DeletedUsers(ctx, ids); err != nil {
		return nil, err
	}
	for _, w := range wishes {
		p.judge(w)
	}
	return p, nil
}

// holder returns the id of the user with the name, or 0.
func (p *importPlan) holder(kind, norm string) int64 {
	key := nameKey(kind, norm)
	if id, ok := p.before.names[key]; ok {
		return id
	}
	return p.i.given.names[key]
}

func (p *importPlan) find(rule importRule, id int64) {
	p.findings = append(p.findings, finding{rule, id})
}

// importWish is a row with the names that its user can get, the preferred one first.
type importWish struct {
	row       DjangoUser
	usernames []wishedName
	email     string // canonical, or empty
}

type wishedName struct {
	name, norm string
	rule       importRule // reported if the user gets this name; importRules for none
}

// newUserPatch returns the names that the user of a row can get. The present username comes first if the
// user can log in with it, even if it could not be chosen here. A username with an @ gets no -ID:
// the result could be another person's address.
func newUserPatch(row DjangoUser) importWish {
	w := importWish{row: row}
	w.email, _ = names.NormalizeEmail(strings.TrimSpace(row.Email))
	id := "-" + strconv.FormatInt(row.ID, 10)
	made := usernameMade
	if w.userPatch(row.Username, importRules) {
		made = usernameTaken
		if !strings.Contains(row.Username, "@") {
			w.userPatch(firstOf(row.Username, names.MaxUsername-len(id))+id, usernameTaken)
		}
	}
	w.userPatch("user"+id, made)
	w.userPatch("user"+id+id, made)
	return w
}

func (w *importWish) userPatch(name string, rule importRule) bool {
	norm, ok := names.NormalizeLogin(name)
	if ok = ok && len([]rune(name)) <= names.MaxUsername && len([]rune(norm)) <= names.MaxUsername; ok {
		w.usernames = append(w.usernames, wishedName{name, norm, rule})
	}
	return ok
}

// judge plans the import of a row, unless a rule excludes it.
func (p *importPlan) judge(w importWish) {
	id := w.row.ID
	imported, here := p.before.ids[id]
	if !here {
		imported, here = p.i.given.ids[id]
	}
	free := slices.IndexFunc(w.usernames, func(n wishedName) bool { return p.holder(asUsername, n.norm) == 0 })
	switch {
	case id < 1 || id > MaxImportedID:
		p.find(refusedID, id)
		return
	case here && imported:
		p.here++
		return
	case here:
		p.find(refusedIDTaken, id)
		return
	case slices.Contains(p.deleted, id):
		p.find(refusedDeleted, id)
		return
	case free < 0:
		p.find(refusedUsername, id)
		return
	}
	name := w.usernames[free]
	if name.rule != importRules {
		p.find(name.rule, id)
	}
	epoch := newEpoch()
	u := models.User{ID: id, Username: name.name, UsernameNorm: name.norm, IsActive: w.row.IsActive, SessionEpoch: epoch, ImportedEpoch: &epoch}
	p.address(&u, w)
	p.role(&u, w.row)
	p.describe(&u, w.row)
	p.password(&u, w.row.Password)
	p.users = append(p.users, u)
	p.events = append(p.events, p.i.s.byOperator(models.EventRegistered, id, grantedRoles(u), "imported"))
	p.before.add(u)
}

// MaxImportedID is the greatest id that is imported. JSON numbers are exact up to 2^53, and users
// who sign up later get ids beyond the imported ones.
const MaxImportedID = 1 << 52

// role grants the role of the Django user if the user's address is verified: superusers decide by
// the address whom they trust, and a stranger can have typed a colleague's. Each granted role has a
// line in the report, so that the operator sees every privilege that the source grants.
func (p *importPlan) role(u *models.User, row DjangoUser) {
	switch {
	case !row.IsStaff && !row.IsSuperuser:
		return
	case u.EmailVerifiedAt == nil:
		p.find(roleLeft, u.ID)
		return
	case row.IsSuperuser:
		p.find(madeSuperuser, u.ID)
	default:
		p.find(madeStaff, u.ID)
	}
	u.IsStaff, u.IsSuperuser = row.IsStaff, row.IsSuperuser
}

// address sets the user's address. It counts as verified only if the source proves it or the
// operator states it: Django itself stores the address as typed. A user without an address still
// needs a unique value in the column, which is one that cannot be typed as an address.
func (p *importPlan) address(u *models.User, w importWish) {
	u.EmailNorm = "#" + strconv.FormatInt(u.ID, 10)
	switch {
	case w.email == "":
		p.find(withoutAddress, u.ID)
		if _, ok := names.NormalizeEmail(u.Username); ok { // Django has not verified it, so it does not become the address
			p.find(nameIsAddress, u.ID)
		}
	case p.holder(asEmail, w.email) != 0:
		p.find(addressTaken, u.ID)
	case p.i.proofs.elsewhere(u.ID, w.email):
		p.find(addressProvedElsewhere, u.ID)
	default:
		p.keepAddress(u, w)
	}
	if strings.Contains(u.UsernameNorm, "@") && p.holder(asEmail, u.UsernameNorm) != 0 {
		p.find(usernameIsAddress, u.ID)
	}
}

func (p *importPlan) keepAddress(u *models.User, w importWish) {
	u.Email, u.EmailNorm = strings.TrimSpace(w.row.Email), w.email
	if p.i.verified(u.ID, w.email) {
		u.EmailVerifiedAt = &p.i.at
	} else {
		p.find(addressUnproved, u.ID)
	}
	if other := p.holder(asUsername, w.email); other != 0 {
		p.find(usernameIsAddress, other)
	}
}

func (p *importPlan) describe(u *models.User, row DjangoUser) {
	u.FirstName, u.LastName = cleanName(row.FirstName), cleanName(row.LastName)
	if u.FirstName != row.FirstName || u.LastName != row.LastName {
		p.find(nameCleaned, u.ID)
	}
	var ok bool
	if u.LastLogin, ok = p.instant(row.LastLogin); !ok {
		p.find(lastLoginUnknown, u.ID)
	}
	joined, ok := p.instant(row.DateJoined)
	if !ok || joined == nil {
		p.find(joinedUnknown, u.ID)
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
	if name = firstOf(name, names.MaxPersonName); strings.TrimSpace(name) == "" {
		return ""
	}
	return name
}

// instant returns a time in UTC, and reports whether it is plausible: from 1970 until now, with a
// day's tolerance for the time zone of the clock that wrote it.
func (p *importPlan) instant(t *time.Time) (*time.Time, bool) {
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

// password keeps the stored hash if it can be verified.
func (p *importPlan) password(u *models.User, hash string) {
	u.Password = credentials.Unusable
	err := credentials.CheckStored(hash)
	switch {
	case !credentials.IsUsable(hash):
		p.find(passwordNone, u.ID)
	case errors.Is(err, credentials.ErrTooCostly):
		p.find(passwordCostly, u.ID)
	case err != nil || len(hash) > maxHash || strings.HasPrefix(hash, "$"): // "$": this server's format, whose cost a login never lowers
		p.find(passwordUnknown, u.ID)
	default:
		u.Password = hash
	}
	if u.Password == credentials.Unusable && u.Email == "" {
		p.find(noWayIn, u.ID)
	}
}
