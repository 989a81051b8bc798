package server_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

// ------------------------------------------------------------------ finding users

// usernamesOf returns the usernames on a page of the list.
func usernamesOf(t *testing.T, r *servertest.Response) (names []string) {
	t.Helper()
	for _, each := range r.Want(t, http.StatusOK, "").JSON["users"].([]any) {
		names = append(names, each.(object)["username"].(string))
	}
	return names
}

func find(c *servertest.Client, query url.Values) *servertest.Response {
	return c.Do(http.MethodGet, "/admin/users?"+query.Encode(), nil)
}

func TestUserSearchTreatsWildcardsAsText(t *testing.T) {
	t.Attr("control", "77")
	withStaff(t, func(t *testing.T, s staffed) {
		for i, u := range []models.User{
			{Username: "per%cent", Email: "a_b@example.com", FirstName: "Ádám", LastName: "O'Neil"},
			{Username: "perXcent", Email: "aXb@example.com", FirstName: "ÁDÁM", LastName: `Back\slash`},
			{Username: "bang!", Email: "straße@example.com", FirstName: "Ада", LastName: "Лавлейс"},
		} {
			u.UsernameNorm, u.EmailNorm, u.DateJoined = strings.ToLower(u.Username), strings.ToLower(u.Email), time.Now().UTC().Add(time.Duration(i)*time.Second)
			if err := s.Store.Tx(t.Context(), func(tx *models.Tx) error { return tx.CreateUser(&u) }); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string][]string{
			"per": {"per%cent", "perXcent"}, "PERX": {"perXcent"}, "%": {"per%cent"}, "%cent": {"per%cent"}, "r%c": {"per%cent"}, "_": {"per%cent"}, "a_b": {"per%cent"}, "!": {"bang!"},
			"!%": nil, `\`: {"perXcent"}, "'": {"per%cent"}, "ádám": {"per%cent", "perXcent"}, "ÁDÁM o'neil": {"per%cent"}, "cent b@": {"per%cent", "perXcent"}, "ада": {"bang!"}, "ЛАВЛЕЙС": {"bang!"},
			"per nobody": nil, "'; DROP TABLE users; --": nil, "' OR 1=1": nil, "per per per per per": {"per%cent", "perXcent"}, "per per per per per per": nil, // the fifth term is the rest of the query
		} {
			if got := usernamesOf(t, find(s.asSam, url.Values{"q": {query}})); !slices.Equal(got, want) {
				t.Errorf("%q finds %q, want %q", query, got, want)
			}
		}
		for _, query := range []string{"q=%ff", "q=%00", "q=a%00b", "q=", "sort=password", "sort=id%3Bdrop", "sort=(select+sleep(3))", "sort=-", "sort=ID", "limit=101", "limit=0", "limit=1e9", "is_active=1", "email_verified=TRUE", "email_verified=", "role=", "role=admin", "role=staff,none", "role=Staff", "role=staff&role=staff", "role=none&role=staff&role=superuser&role=none", "is_staff=true", "verified=true", "after=AAAA", "password=x", "q=a&q=b", "email=a@b.example&email=c@d.example", "username=", "email=", "email=%00ab", "cursor=%2B%2B", "cursor=AAAA", "cursor="} {
			s.asSam.Copy().Do(http.MethodGet, "/admin/users?"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
		}
	})
}

func TestUserListFiltersByStateAndRole(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		s.Database.Exec(t, "UPDATE users SET is_active = ? WHERE id = ?", false, s.boss.ID)
		s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL WHERE id = ?", s.una.ID)
		s.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", false, s.root.ID) // still a superuser
		names := func(list ...servertest.User) (names []string) {
			for _, u := range list {
				names = append(names, u.Username)
			}
			return names
		}
		for query, want := range map[string][]string{
			"":                                   names(s.root, s.boss, s.sam, s.una),
			"is_active=true":                     names(s.root, s.sam, s.una),
			"is_active=false":                    names(s.boss),
			"role=superuser":                     names(s.root, s.boss),
			"role=staff":                         names(s.sam),
			"role=none":                          names(s.una),
			"role=none&role=superuser":           names(s.root, s.boss, s.una),
			"email_verified=false":               names(s.una),
			"email_verified=true&is_active=true": names(s.root, s.sam),
			"email_verified=true&role=none":      nil,
			"q=" + s.sam.Email[:9]:               names(s.sam),
			"sort=-id&limit=2":                   names(s.una, s.sam),
			"role=superuser&role=staff&sort=-id": names(s.sam, s.boss, s.root),
			"is_active=true&q=nobody%20has":      nil,
		} {
			if got := usernamesOf(t, s.asSam.Do(http.MethodGet, "/admin/users?"+query, nil)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
	})
}

// In every order, each user is on exactly one page, even if users are added and removed between the
// pages. A cursor is valid for its own order only.
func TestUserPagesContainEachUserOnce(t *testing.T) {
	t.Attr("control", "77")
	withStaff(t, func(t *testing.T, s staffed) {
		base := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 40 {
			u := models.User{Username: fmt.Sprintf("zz%02d", (i*7)%40), Email: fmt.Sprintf("zz%02d@example.com", (i*11)%40), DateJoined: base.Add(time.Duration(i%5) * time.Microsecond)}
			u.UsernameNorm, u.EmailNorm = u.Username, u.Email
			if i%3 != 0 { // some never logged in, and some logged in at the same moment
				at := base.Add(time.Duration(i%4) * time.Second)
				u.LastLogin = &at
			}
			if err := s.Store.Tx(t.Context(), func(tx *models.Tx) error { return tx.CreateUser(&u) }); err != nil {
				t.Fatal(err)
			}
		}
		var other string
		for _, sort := range []string{"id", "username", "email", "last_login", "date_joined", "-id", "-username", "-email", "-last_login", "-date_joined"} {
			query := url.Values{"sort": {sort}, "limit": {"7"}, "q": {"zz"}}
			var all []models.UserPlace
			seen := map[string]int{}
			for page := 0; ; page++ {
				r := find(s.asSam, query)
				names := usernamesOf(t, r)
				for _, name := range names {
					seen[name]++
					u, err := s.Store.UserByUsername(t.Context(), name)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, models.UserSort(strings.TrimPrefix(sort, "-")).PlaceOf(u))
				}
				if page == 1 { // on a page that has been read
					s.Database.Exec(t, "DELETE FROM users WHERE username = ?", names[0])
				}
				next, more := r.JSON["next_cursor"].(string)
				if !more {
					break
				}
				if page > 20 {
					t.Fatal("got more than 20 pages, want the list to end")
				}
				query.Set("cursor", next)
				if other != "" {
					find(s.asSam.Copy(), url.Values{"sort": {sort}, "cursor": {other}}).Want(t, http.StatusBadRequest, "request_malformed")
				}
				other = ""
			}
			other = query.Get("cursor")
			for name, n := range seen {
				if n != 1 {
					t.Errorf("%s: user %s is on %d pages, want 1", sort, name, n)
				}
			}
			if before := s.Database.Count(t, "SELECT COUNT(*) FROM users WHERE username LIKE 'zz%'"); int64(len(seen)) != before+1 {
				t.Errorf("%s: %d users, want %d", sort, len(seen), before+1)
			}
			ordered := slices.IsSortedFunc(all, func(a, b models.UserPlace) int {
				if strings.HasPrefix(sort, "-") {
					a, b = b, a
				}
				return cmp.Or(strings.Compare(a.Text, b.Text), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
			})
			if !ordered {
				t.Errorf("%s: the users are not in order: %v", sort, all)
			}
		}
	})
}

// A forged cursor either starts the page at its position or is rejected. None causes a database
// error.
func TestForgedCursorCausesNoDatabaseError(t *testing.T) {
	t.Attr("control", "77")
	withStaff(t, func(t *testing.T, s staffed) {
		for place, status := range map[string]int{
			`{"s":"date_joined","d":false,"i":1,"w":"0000-01-01T00:00:00+01:00"}`:  http.StatusBadRequest, // years outside MySQL's range
			`{"s":"date_joined","d":false,"i":1,"w":"0000-12-31T00:00:00Z"}`:       http.StatusBadRequest,
			`{"s":"date_joined","d":false,"i":1,"w":"9999-12-31T23:59:59-01:00"}`:  http.StatusBadRequest,
			`{"s":"date_joined","d":false,"i":1,"w":"9999-12-31T23:59:59Z"}`:       http.StatusOK,
			`{"s":"date_joined","d":false,"i":1,"w":"0001-01-02T00:00:00Z"}`:       http.StatusOK,
			`{"s":"date_joined","d":false,"i":1}`:                                  http.StatusOK,
			`{"s":"date_joined","d":false,"i":99999999999999999999}`:               http.StatusBadRequest,
			`{"s":"date_joined","d":false,"i":NaN}`:                                http.StatusBadRequest,
			`{"s":"date_joined","d":false,"i":-9223372036854775808,"t":"\u0000'"}`: http.StatusOK,
			`null`: http.StatusBadRequest,
		} {
			find(s.asSam.Copy(), url.Values{"sort": {"date_joined"}, "cursor": {base64.RawURLEncoding.EncodeToString([]byte(place))}}).Want(t, status, "")
		}
		all := url.Values{} // the examples of the contract are accepted together
		for _, op := range servertest.Operations() {
			for _, p := range op.Operation.Parameters {
				if op.ID != "listUsers" {
					continue
				}
				if list, ok := p.Value.Example.([]any); ok { // repeated
					for _, value := range list {
						all.Add(p.Value.Name, fmt.Sprint(value))
					}
					continue
				}
				all.Set(p.Value.Name, fmt.Sprint(p.Value.Example))
			}
		}
		find(s.asSam.Copy(), all).Want(t, http.StatusOK, "")
	})
}

// The filters by username and by address find the user in every spelling that is accepted at login.
// A part of a name does not match.
func TestExactFiltersMatchEverySpellingOfUser(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		none := s.NewUser() // as imported: without an address
		s.Database.Exec(t, "UPDATE users SET email = '', email_norm = ? WHERE id = ?", fmt.Sprint("#", none.ID), none.ID)
		s.Database.Exec(t, "UPDATE users SET id = 1234 WHERE id = ?", none.ID)
		s.Database.Exec(t, "UPDATE users SET email_norm = '#1234' WHERE id = 1234")
		first := strings.ToUpper(s.una.Username[:1])
		for _, each := range []struct {
			query url.Values
			want  []string
		}{
			{url.Values{"username": {s.una.Username}}, []string{s.una.Username}},
			{url.Values{"username": {strings.ToUpper(s.una.Username)}}, []string{s.una.Username}},
			{url.Values{"username": {fullwidth(s.una.Username)}}, []string{s.una.Username}},
			{url.Values{"email": {s.una.Email}}, []string{s.una.Username}},
			{url.Values{"email": {otherSpelling(s.una.Email)}}, []string{s.una.Username}},
			{url.Values{"email": {s.una.Email}, "username": {s.una.Username}, "role": {"none"}}, []string{s.una.Username}},
			{url.Values{"email": {s.una.Email}, "username": {s.sam.Username}}, nil},
			{url.Values{"email": {s.una.Email}, "role": {"staff"}}, nil},
			{url.Values{"username": {s.una.Username[:len(s.una.Username)-1]}}, nil},
			{url.Values{"username": {s.una.Username + "x"}}, nil},
			{url.Values{"username": {first}}, nil},
			{url.Values{"username": {s.una.Email}}, nil},
			{url.Values{"email": {s.una.Username}}, nil},
			{url.Values{"email": {"%@example.com"}}, nil},
			{url.Values{"username": {"%"}}, nil},
			{url.Values{"username": {"a b"}}, nil},
			{url.Values{"email": {"no address"}}, nil},
			{url.Values{"email": {"#1234"}}, nil},
			{url.Values{"email": {"' OR ''='"}}, nil},
		} {
			r := find(s.asSam.Copy(), each.query)
			if got := usernamesOf(t, r); !slices.Equal(got, each.want) || r.JSON["next_cursor"] != nil {
				t.Errorf("%v finds %q, want %q", each.query, got, each.want)
			}
		}
	})
}

// A cursor is valid only for the list that issued it, in the same order.
func TestCursorIsRejectedByOtherLists(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		next := func(path string) string {
			t.Helper()
			cursor, _ := s.asSam.Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "").JSON["next_cursor"].(string)
			if cursor == "" {
				t.Fatalf("%s: got no cursor of a second page", path)
			}
			return cursor
		}
		users, events := next("/admin/users?limit=1&sort=username"), next("/admin/events?limit=1")
		for _, sort := range []string{"", "&sort=id", "&sort=-username", "&sort=email", "&sort=last_login"} {
			r := s.asSam.Copy().Do(http.MethodGet, "/admin/users?limit=1&cursor="+users+sort, nil).Want(t, http.StatusBadRequest, "request_malformed")
			wantParameter(t, r, "cursor")
		}
		for path, cursor := range map[string]string{"/admin/users?cursor=": events, "/admin/events?cursor=": users, "/accounts/events?cursor=": users, at(s.una, "/sessions?cursor="): users, "/accounts/sessions?cursor=": users} {
			r := s.asSam.Copy().Do(http.MethodGet, path+cursor, nil).Want(t, http.StatusBadRequest, "request_malformed")
			wantParameter(t, r, "cursor")
		}
		if got := usernamesOf(t, s.asSam.Do(http.MethodGet, "/admin/users?limit=1&sort=username&cursor="+users, nil)); len(got) != 1 {
			t.Errorf("the second page: got users %q, want 1", got)
		}
	})
}
