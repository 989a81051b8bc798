package accounts

import (
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/names"
)

// holders records which ids and names are taken, by existing users or by users from earlier rows of
// the same run.
type holders struct {
	ids   map[int64]bool     // by id of a user: whether the user was imported
	names map[[16]byte]int64 // by nameKey: the id of the user with the name
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
	i              *Import
	before         holders // existing users, and those of the batch that have been planned
	users          []models.User
	events         []models.Event
	findings       []finding
	importedBefore int
	deleted        []int64 // the users of the batch that were deleted from this service
}

func (i *Import) plan(ctx context.Context, batch []DjangoUser) (*importPlan, error) {
	p := &importPlan{i: i, before: newHolders()}
	candidates := make([]importCandidate, 0, len(batch))
	var ids []int64
	var norms []string
	for _, row := range batch {
		c := newCandidate(row)
		candidates = append(candidates, c)
		ids = append(ids, row.ID)
		for _, name := range c.usernames {
			norms = append(norms, name.norm)
		}
		if c.email != "" {
			norms = append(norms, c.email)
		}
	}
	existing, err := i.s.store.NameHolders(ctx, ids, norms)
	if err != nil {
		return nil, err
	}
	for _, u := range existing {
		p.before.add(u)
	}
	if p.deleted, err = i.s.store.DeletedUsers(ctx, ids); err != nil {
		return nil, err
	}
	for _, c := range candidates {
		p.planUser(c)
	}
	return p, nil
}

// write imports the users of the plan and records their events.
func (p *importPlan) write(tx *models.Tx) error {
	if err := tx.ImportUsers(p.users); err != nil {
		return err
	}
	return tx.AddEvents(p.events...)
}

// holder returns the id of the user with the name, or 0.
func (p *importPlan) holder(kind, norm string) int64 {
	key := nameKey(kind, norm)
	if id, ok := p.before.names[key]; ok {
		return id
	}
	return p.i.planned.names[key]
}

func (p *importPlan) report(rule importRule, id int64) {
	p.findings = append(p.findings, finding{rule, id})
}

// importCandidate is a row with the names that its user can get, the preferred one first.
type importCandidate struct {
	row       DjangoUser
	usernames []candidateName
	email     string // canonical, or empty
}

type candidateName struct {
	name, norm string
	rule       importRule // reported if the user gets this name; noRule for none
}

// newCandidate returns the names that the user of a row can get. The username in Django comes first
// if a user can log in with it, even if a new user could not choose it. The next one is the same
// username with -ID, unless it contains an @: the result could be another person's address.
func newCandidate(row DjangoUser) importCandidate {
	c := importCandidate{row: row}
	c.email, _ = names.NormalizeEmail(strings.TrimSpace(row.Email))
	id := "-" + strconv.FormatInt(row.ID, 10)
	made := usernameMade
	if c.addUsername(row.Username, noRule) {
		made = usernameTaken
		if !strings.Contains(row.Username, "@") {
			c.addUsername(models.Truncate(row.Username, names.MaxUsername-len(id))+id, usernameTaken)
		}
	}
	c.addUsername("user"+id, made)
	c.addUsername("user"+id+id, made)
	return c
}

func (c *importCandidate) addUsername(name string, rule importRule) bool {
	norm, ok := names.NormalizeLogin(name)
	if ok = ok && len([]rune(name)) <= names.MaxUsername && len([]rune(norm)) <= names.MaxUsername; ok {
		c.usernames = append(c.usernames, candidateName{name, norm, rule})
	}
	return ok
}

// planUser plans the import of a row, unless an earlier run has imported the user or a rule excludes
// the row.
func (p *importPlan) planUser(c importCandidate) {
	id := c.row.ID
	if imported, _ := p.existing(id); imported {
		p.importedBefore++
		return
	}
	free := slices.IndexFunc(c.usernames, func(n candidateName) bool { return p.holder(asUsername, n.norm) == 0 })
	if rule := p.refusal(id, free >= 0); rule != noRule {
		p.report(rule, id)
		return
	}
	name := c.usernames[free]
	if name.rule != noRule {
		p.report(name.rule, id)
	}
	epoch := randomEpoch()
	u := models.User{ID: id, Username: name.name, UsernameNorm: name.norm, IsActive: c.row.IsActive, SessionEpoch: epoch, ImportedEpoch: &epoch}
	p.setAddress(&u, c)
	p.setRole(&u, c.row)
	p.setDetails(&u, c.row)
	p.setPassword(&u, c.row.Password)
	p.users = append(p.users, u)
	p.events = append(p.events, audit.Event{Kind: models.EventRegistered, UserID: id, Changes: audit.GrantedRoles(u), Detail: "imported"}.Row(p.i.at))
	p.before.add(u)
}

// existing reports whether there is a user with the id, and whether that user was imported.
func (p *importPlan) existing(id int64) (imported, exists bool) {
	if imported, exists = p.before.ids[id]; !exists {
		imported, exists = p.i.planned.ids[id]
	}
	return imported, exists
}

// refusal returns the rule that excludes a user from the import, or noRule if none does.
func (p *importPlan) refusal(id int64, hasFreeName bool) importRule {
	_, exists := p.existing(id)
	switch {
	case id < 1 || id > MaxImportedID:
		return refusedID
	case exists:
		return refusedIDTaken
	case slices.Contains(p.deleted, id):
		return refusedDeleted
	case !hasFreeName:
		return refusedUsername
	}
	return noRule
}

// MaxImportedID is the greatest id that is imported. JSON numbers are exact up to 2^53, and users
// who sign up later get ids beyond the imported ones.
const MaxImportedID = 1 << 52
