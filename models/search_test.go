package models_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/models"
)

// searchCases are names, and words that find each of them. Both engines give the same results,
// because they do not depend on the letters that the database supports.
var searchCases = []struct {
	name  string
	words []string
}{
	{"Lovelace", []string{"lovelace", "LOVELACE", "Ｌｏｖｅｌａｃｅ", "vela"}},
	{"\U00010400x\U00010428", []string{"\U00010428x\U00010428", "\U00010400X\U00010400"}}, // Deseret
	{"Ⴀⴁ", []string{"ⴀⴁ", "ႠႡ", "Ⴀⴁ"}},                                                    // Georgian
	{"Straße", []string{"strasse", "STRASSE", "STRAẞE", "straße", "straſſe"}},
	{"WEẞ", []string{"weß", "wess", "WESS", "weẞ"}},
	{"İzmir", []string{"izmir", "İZMİR", "IZMIR", "ızmır"}},
	{"Iğdır", []string{"iğdir", "IĞDIR", "ığdır"}},
	{"Louis Ⅷ", []string{"viii", "VIII", "ⅷ", "Ⅷ"}},
	{"ＷＩＤＥ", []string{"wide", "ＷＩＤＥ", "Wide"}},
	{"Ὀδυσσεύς", []string{"ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ", "ὀδυσσεύσ"}},
	{"Ángela", []string{"A\u0301NGELA", "ángela"}},
	{"Ꭰꮳ", []string{"Ꭰꮳ", "ꭰᏣ"}}, // Cherokee
	{"ǅana", []string{"ǆana", "DŽANA"}},
	{"ﬁnn", []string{"finn", "FINN"}},
	{"100%_!\\", []string{"100%", "%_!", "\\"}},
}

// A search finds the same users on every engine, without regard to case, width and form.
func TestSearchFindsSameUsersOnEveryEngine(t *testing.T) {
	t.Attr("control", "204")
	eachStore(t, func(t *testing.T, f *fixture) {
		for i, c := range searchCases {
			u := f.newUser(fmt.Sprint("p", i))
			ok(t, f.ChangeUser(t.Context(), f.reload(u), models.UserPatch{LastName: &c.name}))
		}
		for i, c := range searchCases {
			for _, word := range c.words {
				f.finds(word, fmt.Sprint("p", i))
			}
		}
		f.finds("İ%", "")
	})
}

// finds checks which users a search finds, among those with a last name.
func (f *fixture) finds(word, want string) {
	f.t.Helper()
	users, err := f.FindUsers(f.t.Context(), models.UserQuery{Words: []string{word}, Limit: 100})
	ok(f.t, err)
	var names []string
	for _, u := range users {
		names = append(names, u.Username)
	}
	if got := strings.Join(names, " "); got != want {
		f.t.Errorf("%q finds %q, want %q", word, got, want)
	}
}

// An address is found as the user entered it, by its domain in ASCII, and by its domain in Unicode.
func TestSearchFindsDomainInBothForms(t *testing.T) {
	t.Attr("control", "204")
	eachStore(t, func(t *testing.T, f *fixture) {
		for name, email := range map[string]string{"typed": "Eva@BÜCHER.example", "ascii": "udo@xn--bcher-kva.example", "alike": "cfo@c\u043erp.example"} {
			norm := map[string]string{"typed": "eva@xn--bcher-kva.example", "ascii": "udo@xn--bcher-kva.example", "alike": "cfo@xn--crp-sed.example"}[name]
			u := models.User{Username: name, UsernameNorm: name, Email: email, EmailNorm: norm, DateJoined: now()}
			ok(t, f.CreateUser(t.Context(), &u))
		}
		for word, want := range map[string]string{"eva@bücher": "typed", "EVA@XN--BCHER": "typed", "udo@bücher": "ascii", "udo@xn--bcher": "ascii",
			"cfo@corp": "", "cfo@c\u043erp": "alike", "CFO@XN--CRP-SED": "alike"} {
			f.finds(word, want)
		}
	})
}

// inStep checks that the search text of every user is up to date.
func (f *fixture) inStep(after string) {
	f.t.Helper()
	users, err := f.FindUsers(f.t.Context(), models.UserQuery{Sort: models.SortByID, Limit: 1000})
	ok(f.t, err)
	for _, u := range users {
		if u.Search != models.SearchText(u) {
			f.t.Errorf("after %s the search text of %s is outdated", after, u.Username)
		}
	}
}

// Every write to a user updates the search text.
func TestEveryWriteUpdatesSearchText(t *testing.T) {
	t.Attr("control", "204")
	eachStore(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		fresh := func(name string) *models.User {
			return &models.User{Username: name, UsernameNorm: name, Email: name + "@example.com", EmailNorm: name + "@example.com", FirstName: "Ｆｉｒｓｔ", IsActive: true, DateJoined: now()}
		}
		name, yes, at := "Ⴀeve", true, now()
		upper, email, generated, none := "BOB@NEW.EXAMPLE", "bob@new.example", "user-generated", ""
		bob := f.newUser("bob")
		change := func(p models.UserPatch) error {
			u, err := f.UserByID(ctx, bob.ID)
			ok(t, err)
			return f.ChangeUser(ctx, u, p)
		}
		imported := *fresh("imported")
		imported.ID = 5000
		for _, write := range []struct {
			what string
			do   func() error
		}{
			{"CreateUser", func() error { return f.CreateUser(ctx, fresh("created")) }},
			{"ImportUsers", func() error {
				return f.Tx(ctx, func(tx *models.Tx) error { return tx.ImportUsers([]models.User{imported}) })
			}},
			{"ChangeUser, the names", func() error { return change(models.UserPatch{FirstName: &name, Username: &name, UsernameNorm: &name}) }},
			{"ChangeUser, a name and a role", func() error { return change(models.UserPatch{LastName: &name, IsStaff: &yes}) }},
			{"ChangeUser, the address", func() error { return change(models.UserPatch{Email: &upper, EmailNorm: &email, EmailVerifiedAt: &at}) }},
			{"ChangeUser, a verified address", func() error { return change(models.UserPatch{EmailVerifiedAt: &at}) }},
			{"ChangeUser, the password", func() error { return change(models.UserPatch{Password: new(models.PasswordHash), NextEpoch: true}) }},
			{"ChangeUser, cleared names", func() error {
				return change(models.UserPatch{Username: &generated, UsernameNorm: &generated, FirstName: &none, LastName: &none, Locale: &none})
			}},
		} {
			if err := write.do(); err != nil {
				t.Fatalf("%s: %v (%v)", write.what, err, models.Cause(err))
			}
			f.inStep(write.what)
		}
	})
}

// Folding is stable: a folded text stays the same when it is folded again, in either case.
func TestFoldIsStable(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.In(r, unicode.Han, unicode.Hangul, unicode.Cs, unicode.Co) || !unicode.IsGraphic(r) { // letters of these have no case
			continue
		}
		once := models.Fold("a" + string(r) + "b")
		if again := models.Fold(once); again != once {
			t.Errorf("%U: folded to %q, and then to %q", r, once, again)
		}
	}
	if diff := cmp.Diff(models.Fold("STRAẞE"), models.Fold("straße")); diff != "" {
		t.Error(diff)
	}
}

// A short word can become a pattern of thousands of letters, which costs a millisecond for each
// user whose name repeats its beginning. Its first 254 letters are compared.
func TestSearchOfLongWordsIsBounded(t *testing.T) {
	t.Attr("control", "204")
	eachStore(t, func(t *testing.T, f *fixture) {
		long := strings.Repeat("\ufdfa", 150) // 18 letters each
		u := f.newUser("long")
		ok(t, f.ChangeUser(t.Context(), f.reload(u), models.UserPatch{LastName: &long}))
		f.finds(long, "long")
		f.finds(strings.Repeat("\ufdfa", 100)+"x", "long")
		f.finds(strings.Repeat("\ufdfa", 10)+"x", "")
	})
}
