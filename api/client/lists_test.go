package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/accounts/api"
	"example.com/accounts/api/client"
)

// collect ranges over a list to its end.
func collect[T any](t *testing.T, list iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for item, err := range list {
		must(t, err)
		all = append(all, item)
	}
	return all
}

func TestEveryListHasAnIterator(t *testing.T) {
	contract, err := api.GetSpec()
	must(t, err)
	accounts := reflect.TypeFor[*client.Accounts]()
	lists := 0
	for _, path := range contract.Paths.Map() {
		for _, operation := range path.Operations() {
			if operation.Parameters.GetByInAndName("query", "cursor") == nil {
				continue
			}
			lists++
			name := strings.TrimPrefix(operation.OperationID, "list")
			method, ok := accounts.MethodByName(name)
			if !ok || method.Type.NumOut() != 1 || !method.Type.Out(0).CanSeq2() {
				t.Errorf("%s has no iterator Accounts.%s", operation.OperationID, name)
			}
		}
	}
	if lists < 5 {
		t.Errorf("%d lists in the contract", lists)
	}
}

// The lists of a real server, in pages of two.
func TestListsIterateOverPagesOfServer(t *testing.T) {
	w := newWorld(t)
	w.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", true, w.user.ID)
	var names []string
	for range 4 {
		names = append(names, w.NewUser().Username)
	}
	a := w.loggedIn()
	for range 4 {
		w.Login(w.user, "body")
	}
	limit := 2

	found := collect(t, a.Users(ctx, &client.ListUsersParams{Limit: &limit}))
	for i, u := range found[1:] {
		if u.Username != names[i] {
			t.Errorf("user %d is %s, want %s", i+1, u.Username, names[i])
		}
	}
	if got := len(w.network.to("/admin/users")); len(found) != 5 || got != 3 {
		t.Errorf("%d users in %d pages", len(found), got)
	}
	sessions := collect(t, a.Sessions(ctx, &client.ListSessionsParams{Limit: &limit}))
	if got := len(w.network.to("/accounts/sessions")); len(sessions) != 5 || got != 3 || !sessions[4].Current {
		t.Errorf("%d sessions in %d pages, the oldest current: %v", len(sessions), got, sessions[len(sessions)-1].Current)
	}
	if same := collect(t, a.UserSessions(ctx, w.user.ID, nil)); len(same) != 5 || same[0].ID != sessions[0].ID {
		t.Errorf("%d sessions of the user", len(same))
	}
	kinds := []client.EventKind{client.EventKindLogin}
	events := collect(t, a.Events(ctx, &client.ListEventsParams{Kind: &kinds, Limit: &limit}))
	if got := len(w.network.to("/accounts/events")); len(events) != 5 || got != 3 {
		t.Errorf("%d logins in %d pages", len(events), got)
	}
	all := collect(t, a.AllEvents(ctx, &client.ListAllEventsParams{UserID: &w.user.ID, Kind: &kinds}))
	if len(all) != 5 || all[0].ID != events[0].ID {
		t.Errorf("%d logins of the user", len(all))
	}
}

// pagesOfUsers starts a server with pages of users 1 and 2, 3 and 4, and so on, up to last. The
// server calls fail first.
func pagesOfUsers(t *testing.T, last int, fail func(w http.ResponseWriter, page int) bool) (a *client.Accounts, queries *[]string) {
	queries = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*queries = append(*queries, r.URL.RawQuery)
		page := 1
		_, _ = fmt.Sscanf(r.URL.Query().Get("cursor"), "page%d", &page)
		if fail != nil && fail(w, page) {
			return
		}
		next := "null"
		if page < last {
			next = fmt.Sprintf("%q", fmt.Sprintf("page%d", page+1))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"users": [{"id": %d}, {"id": %d}], "next_cursor": %s, "total": 12}`, 2*page-1, 2*page, next)
	}))
	t.Cleanup(server.Close)
	a, err := client.New(client.Options{BaseURL: server.URL})
	must(t, err)
	return a, queries
}

func TestListPassesFiltersAndLimitToEveryPage(t *testing.T) {
	a, queries := pagesOfUsers(t, 3, nil)
	limit, text := 2, "a b&c"
	params := client.ListUsersParams{Limit: &limit, Q: &text}
	list := a.Users(ctx, &params)
	if got := collect(t, list); len(got) != 6 || got[5].ID != 6 {
		t.Errorf("%d users", len(got))
	}
	want := []string{"q=a+b%26c&limit=2", "q=a+b%26c&limit=2&cursor=page2", "q=a+b%26c&limit=2&cursor=page3"}
	if !slices.Equal(*queries, want) {
		t.Errorf("requested %q", *queries)
	}
	if got := collect(t, list); len(got) != 6 || params.Cursor != nil {
		t.Errorf("the second loop over the same list: %d users; the caller's cursor %v", len(got), params.Cursor)
	}
	*queries = nil
	cursor := "page3"
	if got := collect(t, a.Users(ctx, &client.ListUsersParams{Cursor: &cursor})); len(got) != 2 || (*queries)[0] != "cursor=page3" {
		t.Errorf("from a cursor: %d users, requested %q", len(got), *queries)
	}
}

func TestListRequestsOnlyReachedPages(t *testing.T) {
	a, queries := pagesOfUsers(t, 3, nil)
	for user, err := range a.Users(ctx, nil) {
		must(t, err)
		if user.ID == 2 {
			break
		}
	}
	if !slices.Equal(*queries, []string{""}) {
		t.Errorf("requested %q", *queries)
	}
}

// ends ranges over a list that fails, and returns the ids of its users and its only error.
func ends(t *testing.T, list iter.Seq2[client.User, error]) (ids []int64, failure error) {
	t.Helper()
	for user, err := range list {
		switch {
		case failure != nil:
			t.Errorf("after the error: user %d, %v", user.ID, err)
		case err != nil && user.ID != 0:
			t.Errorf("user %d with an error", user.ID)
		case err != nil:
			failure = err
		default:
			ids = append(ids, user.ID)
		}
	}
	return ids, failure
}

func TestErrorIsYieldedOnceAndEndsList(t *testing.T) {
	a, _ := pagesOfUsers(t, 3, func(w http.ResponseWriter, page int) bool {
		if page == 2 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"type":"http://localhost/problems/role_required","title":"-","status":403,"detail":"-","code":"role_required","request_id":"0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f"}`)
		}
		return page == 2
	})
	ids, err := ends(t, a.Users(ctx, nil))
	if !slices.Equal(ids, []int64{1, 2}) {
		t.Errorf("users %v", ids)
	}
	wantCode(t, err, client.ProblemCodeRoleRequired)
}

// A page of a captive portal is not a list of users.
func TestListRejectsForeignPage(t *testing.T) {
	a, _ := pagesOfUsers(t, 3, func(w http.ResponseWriter, _ int) bool {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<h1>Welcome aboard</h1>")
		return true
	})
	if ids, err := ends(t, a.Users(ctx, nil)); len(ids) != 0 || err == nil {
		t.Errorf("users %v, %v", ids, err)
	}
}

func TestCanceledContextEndsList(t *testing.T) {
	a, queries := pagesOfUsers(t, 3, nil)
	canceled, cancel := context.WithCancel(ctx)
	list := a.Users(canceled, nil)
	next, stop := iter.Pull2(list)
	defer stop()
	_, err, _ := next()
	must(t, err)
	cancel()
	_, _, _ = next() // the rest of the page
	if _, err, ok := next(); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, _, ok := next(); ok {
		t.Error("the list continues after its error")
	}
	if len(*queries) != 1 {
		t.Errorf("requested %q", *queries)
	}
}

// A later version of the server has members, kinds and codes that are unknown to this package.
func TestUnknownValuesAreKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/accounts/events" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"next_cursor": null, "retention": {"days": 90}, "events": [{
				"id": "01980f72-9a3b-7d10-8c44-5e1f2a3b4c5d", "kind": "passkey_added", "created_at": "2026-11-22T09:30:00Z", "user_id": 42, "username": "ada",
				"actor": "robot", "actor_id": null, "actor_username": null, "changes": [{"field": "passkeys", "before": null, "after": "1", "unit": "keys"}],
				"detail": null, "session_id": null, "ip": null, "user_agent": null, "request_id": null, "country": "KR"}]}`)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprint(w, `{"type":"http://localhost/problems/kettle_empty","title":"Kettle empty","status":418,"detail":"Fill the kettle.","code":"kettle_empty",
			"request_id":"0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f", "help": "https://example.com", "errors": [
			{"pointer": "/water", "code": "too_cold", "detail": "This is too cold.", "minimum": 96, "unit": "degrees"}, {"parameter": "cups", "code": "out_of_range", "detail": "-", "maximum": 8}]}`)
	}))
	t.Cleanup(server.Close)
	a, err := client.New(client.Options{BaseURL: server.URL})
	must(t, err)

	events := collect(t, a.Events(ctx, nil))
	if len(events) != 1 || events[0].Kind != "passkey_added" || events[0].Actor != "robot" || events[0].Changes[0].Field != "passkeys" {
		t.Errorf("%+v", events)
	}

	var problem *client.Error
	if err := profile(a); !errors.As(err, &problem) {
		t.Fatalf("%v", err)
	}
	if problem.Code != "kettle_empty" || problem.Detail != "Fill the kettle." || problem.RetryAfter != 7*time.Second {
		t.Errorf("%+v", problem)
	}
	if f := problem.Errors; len(f) != 2 || *f[0].Pointer != "/water" || f[0].Code != "too_cold" || *f[0].Minimum != 96 || *f[1].Parameter != "cups" || *f[1].Maximum != 8 {
		t.Errorf("%+v", f)
	}
	if want := "client: 418 kettle_empty: Fill the kettle. /water: too_cold. cups: out_of_range. (request 0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f)"; problem.Error() != want {
		t.Errorf("%s", problem)
	}
}

// The errors of a real server list the invalid fields and their bounds.
func TestErrorNamesFieldsAndBounds(t *testing.T) {
	w := newWorld(t)
	a := w.program()
	answer, err := a.API.RegisterWithResponse(ctx, client.RegisterRequest{Email: "ada@example.com", Password: "short"})
	var problem *client.Error
	if err := client.Check(answer, err); !errors.As(err, &problem) || problem.Code != client.ProblemCodeValidationFailed {
		t.Fatalf("%v", err)
	}
	if len(problem.Errors) != 1 || *problem.Errors[0].Pointer != "/password" || problem.Errors[0].Code != client.FieldErrorCodeTooShort {
		t.Fatalf("%+v", problem.Errors)
	}
	if minimum := problem.Errors[0].Minimum; minimum == nil || *minimum != 12 {
		t.Errorf("no bound: %s", answer.Body)
	}
}
