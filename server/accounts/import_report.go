package accounts

// importRule is a rule for data that cannot be imported unchanged.
type importRule int

// The rules, in the order of the report. From refusedID on, the user is not imported.
const (
	madeSuperuser importRule = iota
	madeStaff
	roleNotImported
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
	importRules // the number of rules
)

// noRule means that no rule applies.
const noRule = importRules

var importTexts = [importRules]string{
	madeSuperuser:          "superuser in Django: is a superuser with every permission",
	madeStaff:              "staff in Django: can manage ordinary users, whatever the Django permissions were",
	roleNotImported:        "superuser or staff in Django, address not verified: imported without the role; when the address is verified, a superuser can grant it; see --help",
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

// ImportReport counts the users and tokens that were read, imported or left out so far.
// ImportedBefore is the number of users that an earlier run has imported. Applied lists the rules
// that changed users who were imported, and Refused lists the rules that kept users from being
// imported.
type ImportReport struct {
	Read, Imported, ImportedBefore, Tokens int
	Applied, Refused                       []ImportLine
}

// LeftOut returns how many users were not imported.
func (r ImportReport) LeftOut() int { return r.Read - r.Imported - r.ImportedBefore }

// Report returns the report of the users and tokens so far.
func (i *Import) Report() ImportReport {
	r := ImportReport{Read: i.read, Imported: i.imported, ImportedBefore: i.importedBefore, Tokens: i.tokens}
	for rule, line := range i.lines {
		line.Text = importTexts[rule]
		switch {
		case line.Count == 0:
		case importRule(rule) < refusedID:
			r.Applied = append(r.Applied, line)
		default:
			r.Refused = append(r.Refused, line)
		}
	}
	return r
}

func (i *Import) count(p *importPlan, read int) {
	i.read, i.imported, i.importedBefore = i.read+read, i.imported+len(p.users), i.importedBefore+p.importedBefore
	for _, f := range p.findings {
		line := &i.lines[f.rule]
		line.Count++
		if len(line.IDs) < importIDs {
			line.IDs = append(line.IDs, f.id)
		}
	}
	if i.Dry {
		for _, u := range p.users {
			i.planned.add(u)
		}
	}
}
