package server_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// faultsIn returns the field errors of a response, each as "place code" with its bounds, in
// alphabetical order.
func faultsIn(r *servertest.Response) []string {
	list, _ := r.JSON["errors"].([]any)
	faults := []string{}
	for _, each := range list {
		field := each.(object)
		place, has := field["pointer"]
		if !has {
			place, has = field["parameter"]
		}
		if !has {
			place = "?"
		}
		text := fmt.Sprint(place, " ", field["code"])
		for _, bound := range []string{"minimum", "maximum"} {
			if value, has := field[bound].(float64); has {
				text += fmt.Sprintf(" %s %.0f", bound, value)
			}
		}
		faults = append(faults, text)
	}
	slices.Sort(faults)
	return faults
}

func wantFaults(t *testing.T, what string, r *servertest.Response, status int, code string, want ...string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, faultsIn(r)); r.Status != status || r.Code() != code || diff != "" {
		t.Errorf("%s: %d %s, want %d %s (-want +got):\n%s", what, r.Status, r.Code(), status, code, diff)
	}
}

func wantInvalid(t *testing.T, what string, r *servertest.Response, want ...string) {
	t.Helper()
	wantFaults(t, what, r, http.StatusUnprocessableEntity, "validation_failed", want...)
}

func wantMalformed(t *testing.T, what string, r *servertest.Response, want ...string) {
	t.Helper()
	wantFaults(t, what, r, http.StatusBadRequest, "request_malformed", want...)
}

// A request produces every field code of the contract, except too_few: no list in a request has a
// minimum that can be violated, so only the schema is tested.
func TestEveryFieldCodeIsProduced(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_BREACHED_PASSWORDS=" + breachedFile(t, breachedPassword)}})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	produced := map[string]bool{"too_few": true}
	get := func(path, want string) {
		t.Helper()
		wantMalformed(t, path, c.Copy().Do(http.MethodGet, path, nil), want)
		produced[strings.Fields(want)[1]] = true
	}
	send := func(path string, body any, want string) {
		t.Helper()
		r := c.Copy().Do(http.MethodPost, path, body)
		if list := faultsIn(r); !slices.Equal(list, []string{want}) {
			t.Errorf("%s %v: %d %v, want %s", path, body, r.Status, list, want)
		}
		produced[strings.Fields(want)[1]] = true
	}
	const register, invite, login, change = "/accounts/register", "/admin/users", "/accounts/login", "/accounts/password/change"
	email := address(newName())
	send(register, object{"password": password}, "/email required")
	send(login, object{"username": "", "password": password}, "/username required")
	send(register, object{"email": email, "password": password, "nope": 1}, "/nope field_unknown")
	send(register, `{"email":"a@b.example","email":"a@b.example"}`, "/email field_duplicate")
	get("/admin/users?nope=1", "nope parameter_unknown")
	get("/admin/users?limit=1&limit=2", "limit parameter_duplicate")
	send(register, object{"email": email, "password": "short"}, "/password too_short minimum 12")
	send(register, object{"email": "a@", "password": password}, "/email too_short minimum 3")
	send(register, object{"email": email, "password": strings.Repeat("é", 257)}, "/password too_long maximum 256")
	get("/admin/users?q="+strings.Repeat("a", 255), "q too_long maximum 254")
	get("/admin/events?kind=login&"+strings.Join(manyKinds(20), "&"), "kind too_many maximum 20")
	get("/admin/users?limit=0", "limit out_of_range minimum 1")
	get("/admin/users?limit=101", "limit out_of_range maximum 100")
	get("/admin/users?limit=-99999999999999999999", "limit out_of_range minimum 1")
	get("/admin/users/9007199254740992", "user_id out_of_range maximum 9007199254740991")
	get("/admin/users/99999999999999999999", "user_id out_of_range maximum 9007199254740991")
	send(register, object{"email": email, "password": password, "username": "a b"}, "/username format_invalid")
	get("/admin/users?limit=x", "limit format_invalid")
	send(register, object{"email": 1, "password": password}, "/email type_invalid")
	send(invite, object{"email": email, "is_staff": nil}, "/is_staff type_invalid") // null is not the default value
	send(login, object{"username": "a", "password": "b", "token_transport": "nope"}, "/token_transport value_invalid")
	get("/admin/users?sort=nope", "sort value_invalid")
	send(invite, object{"email": "ada@example.com"}, "/email taken")
	send(register, object{"email": email, "password": "password1234"}, "/password password_common")
	send(register, object{"email": email, "password": breachedPassword}, "/password password_breached")
	send(change, object{"current_password": "a wrong one", "new_password": otherPassword}, "/current_password password_wrong")
	for _, code := range enumOf("FieldErrorCode") {
		if !produced[code] {
			t.Errorf("no request of this test produces %s", code)
		}
	}
}

// manyKinds returns n different filters for kinds of events, none of them for logins.
func manyKinds(n int) (filters []string) {
	for _, kind := range enumOf("EventKind") {
		if kind != "login" && len(filters) < n {
			filters = append(filters, "kind="+kind)
		}
	}
	return filters
}

// Bounds that no request can violate under the present contract are reported correctly too.
func TestFieldErrorsReportEveryBoundOfSchema(t *testing.T) {
	list := openapi3.NewArraySchema().WithItems(openapi3.NewStringSchema()).WithMinItems(2).WithMaxItems(3)
	object := openapi3.NewObjectSchema().WithMinProperties(1).WithMaxProperties(1).WithAnyAdditionalProperties()
	for _, c := range []struct {
		schema           *openapi3.Schema
		value            any
		code             string
		minimum, maximum int
	}{
		{list, []any{"a"}, "too_few", 2, 0}, {list, []any{"a", "b", "c", "d"}, "too_many", 0, 3},
		{object, map[string]any{}, "too_few", 1, 0}, {object, map[string]any{"a": 1.0, "b": 1.0}, "too_many", 0, 1},
		{openapi3.NewIntegerSchema().WithMin(3).WithMax(9), 2.0, "out_of_range", 3, 0}, {openapi3.NewIntegerSchema().WithMin(3).WithMax(9), 10.0, "out_of_range", 0, 9},
		{openapi3.NewStringSchema().WithMinLength(2), "a", "too_short", 2, 0}, {openapi3.NewStringSchema().WithMinLength(2), "", "required", 0, 0},
		{openapi3.NewStringSchema().WithMaxLength(2), "abc", "too_long", 0, 2},
	} {
		got := server.FieldCodeOf(c.schema, c.value)
		number := func(bound *int) int {
			if bound == nil {
				return 0
			}
			return *bound
		}
		if string(got.Code) != c.code || number(got.Minimum) != c.minimum || number(got.Maximum) != c.maximum {
			t.Errorf("%v: %s %d %d, want %s %d %d", c.value, got.Code, number(got.Minimum), number(got.Maximum), c.code, c.minimum, c.maximum)
		}
	}
}

// The operator's minimum length of passwords applies in responses and in the served contract.
func TestMinimumPasswordLengthIsOperatorsSetting(t *testing.T) {
	for _, length := range []int{8, 20, 128} {
		s := servertest.Start(t, servertest.Options{Settings: []string{fmt.Sprint("ACCOUNTS_PASSWORD_MIN_LENGTH=", length)}})
		r := s.Anonymous().Do(http.MethodGet, "/openapi.json", nil).Want(t, http.StatusOK, "")
		schema := r.JSON["components"].(object)["schemas"].(object)["NewPassword"].(object)
		if schema["minLength"] != float64(length) {
			t.Errorf("the served contract says %v, want %d", schema["minLength"], length)
		}
		long := fmt.Sprintf("%x%x", sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two")))
		post := func(password string) *servertest.Response {
			return post(s, "/accounts/register", object{"email": address(newName()), "password": password})
		}
		wantInvalid(t, "one character less", post(long[:length-1]), fmt.Sprintf("/password too_short minimum %d", length))
		post(long[:length]).Want(t, http.StatusAccepted, "")
	}
}

// Every operation rejects unknown parameters and names all of them. It checks the caller's
// permission first.
func TestEveryOperationRejectsUnknownParameters(t *testing.T) {
	s := servertest.Start(t, servertest.Options{HoldMail: true})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	s.Database.Watch(t)
	var mark int64
	newChanges(t, s, &mark)
	for _, op := range servertest.Operations() {
		e := exampleOf(t, op)
		e.path += "?nope=1&a%2Fb~c=&nope=2"
		r := send(c.Copy(), e)
		wantMalformed(t, op.ID, r, "nope parameter_unknown", "a/b~c parameter_unknown")
		if len(op.Security) > 0 && !acceptsTokenInBody(op) && !isOptional(op) {
			send(s.Anonymous(), e).Want(t, http.StatusUnauthorized, "credentials_missing")
		}
		if op.Method == http.MethodGet {
			e.method = http.MethodHead
			if r := send(c.Copy(), e); r.Status != http.StatusBadRequest {
				t.Errorf("HEAD of %s: got status %d, want 400", op.ID, r.Status)
			}
		}
	}
	if changes := newChanges(t, s, &mark); len(changes) > 0 {
		t.Errorf("the rejected request changed %v", changes)
	}
}

func TestReportOfUnknownParametersIsBounded(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	get := func(query string) *servertest.Response {
		return s.Anonymous().Do(http.MethodGet, "/healthz?"+query, nil)
	}
	wantMalformed(t, "a long name", get(strings.Repeat("n", 201)+"=1"), "? parameter_unknown")
	wantMalformed(t, "a longest name", get(strings.Repeat("n", 200)+"=1"), strings.Repeat("n", 200)+" parameter_unknown")
	wantMalformed(t, "no UTF-8", get("%ff=1"), "? parameter_unknown")
	wantMalformed(t, "no name", get("=1"), " parameter_unknown")
	wantMalformed(t, "unreadable", get("x=%zz"))
	many := url.Values{}
	for i := range 500 {
		many.Set(fmt.Sprint("n", i), "canary2hGp")
	}
	r := get(many.Encode())
	if list := faultsIn(r); r.Status != http.StatusBadRequest || len(list) != 100 {
		t.Errorf("500 unknown parameters: got status %d with %d errors, want 400 with 100", r.Status, len(list))
	}
	if strings.Contains(string(r.Raw), "canary2hGp") {
		t.Error("the response contains a value of the request")
	}
}

// Errors in several parameters and in the body are reported in one response.
func TestErrorsOfParametersAndBodyAreReportedTogether(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	wantMalformed(t, "a list", c.Copy().Do(http.MethodGet, "/admin/users?limit=0&role=nope&is_active=1&sort=&cursor=a&cursor=b&lmit=3", nil),
		"limit out_of_range minimum 1", "role value_invalid", "is_active format_invalid", "sort format_invalid", "cursor parameter_duplicate", "lmit parameter_unknown")
	wantMalformed(t, "a query and a body", c.Copy().Do(http.MethodPatch, "/admin/users/42?x=1", object{"is_active": "yes"}, servertest.Header("If-Match", "7")),
		"x parameter_unknown", "If-Match format_invalid", "/is_active type_invalid")
}

// A header parameter may occur once. If-None-Match is a list and may be spread over several lines
// (RFC 9110, section 5.3).
func TestDuplicateHeaderParameterIsRejected(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	tried := 0
	for _, op := range servertest.Operations() {
		for _, ref := range op.Operation.Parameters {
			if ref.Value.In != openapi3.ParameterInHeader || ref.Value.Name == "If-None-Match" {
				continue
			}
			twice := func(r *http.Request) { r.Header[ref.Value.Name] = []string{goodValue(ref.Value), goodValue(ref.Value)} }
			wantMalformed(t, op.ID, send(c.Copy(), exampleOf(t, op), twice), ref.Value.Name+" parameter_duplicate")
			tried++
		}
	}
	if tried < 2 {
		t.Errorf("only %d header parameters were tested, want at least 2", tried)
	}
}

// List parameters are repeated once for each item. No item may be empty or occur twice.
func TestListParametersAreRepeatedPerItem(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	for path, want := range map[string]string{
		"/admin/users?role=staff&role=superuser":           "",
		"/admin/users?role=none&role=superuser&role=staff": "",
		"/admin/users?role=staff&role=staff":               "role parameter_duplicate",
		"/admin/users?role=":                               "role format_invalid",
		"/admin/users?role=staff&role=":                    "role format_invalid",
		"/admin/users?role=staff,superuser":                "role value_invalid",
		"/admin/users?role[]=staff":                        "role[] parameter_unknown",
		"/admin/events?kind=login&kind=logout":             "",
		"/admin/events?kind=login&kind=login":              "kind parameter_duplicate",
		"/admin/events?kind=login&kind=nope":               "kind value_invalid",
		"/accounts/events?kind=login&kind=logout":          "",
		"/accounts/events?kind=logout&kind=logout":         "kind parameter_duplicate",
		"/accounts/events?kind":                            "kind format_invalid",
	} {
		r := c.Copy().Do(http.MethodGet, path, nil)
		if want == "" {
			r.Want(t, http.StatusOK, "")
			continue
		}
		wantMalformed(t, path, r, want)
	}
}

// One response reports all errors of a request: those of the schema and those of the rules for
// names, addresses and passwords.
func TestAllFaultsOfRequestAreReportedInOneResponse(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		rows, user, other := rowsOf(t, s.Server), stored(t, s.Server, s.una.Email), stored(t, s.Server, s.sam.Email)
		rules := object{"email": newName() + "@" + mixedDomain, "username": "a b", "first_name": "a\u202eb", "last_name": "  "}
		names := []string{"/email format_invalid", "/username format_invalid", "/first_name format_invalid", "/last_name format_invalid"}
		with := func(more object) object {
			body := maps.Clone(rules)
			maps.Copy(body, more)
			return body
		}
		register := func(body object) *servertest.Response { return post(s.Server, "/accounts/register", body) }
		wantInvalid(t, "register, rules", register(with(object{"password": "password1234"})), append(names, "/password password_common")...)
		wantInvalid(t, "register, rules and schema", register(with(object{"password": "short", "locale": "x", "nope": 1})),
			append(names, "/password too_short minimum 12", "/locale format_invalid", "/nope field_unknown")...)
		wantInvalid(t, "register, a missing member", register(with(nil)), append(names, "/password required")...)
		wantInvalid(t, "register, another common password", register(object{"password": "password1234", "first_name": 1}),
			"/email required", "/first_name type_invalid", "/password password_common")

		invite := func(body object) *servertest.Response {
			return s.asRoot.Copy().Do(http.MethodPost, "/admin/users", body)
		}
		wantInvalid(t, "invite, rules", invite(rules), names...)
		wantInvalid(t, "invite, rules and schema", invite(with(object{"is_staff": "yes"})), append(names, "/is_staff type_invalid")...)
		wantFaults(t, "invite, both taken", invite(object{"email": s.una.Email, "username": s.sam.Username}), http.StatusConflict, "username_taken", "/email taken", "/username taken")
		wantFaults(t, "invite, username taken", invite(object{"email": address(newName()), "username": s.sam.Username}), http.StatusConflict, "username_taken", "/username taken")
		wantFaults(t, "invite, address taken", invite(object{"email": s.una.Email, "username": newName()}), http.StatusConflict, "email_taken", "/email taken")

		update := func(body object) *servertest.Response { return edit(s.asRoot.Copy(), s.una, body) }
		wantInvalid(t, "update a user, rules", update(rules), names...)
		wantInvalid(t, "update a user, rules and schema", update(with(object{"is_active": nil, "locale": 1})), append(names, "/is_active type_invalid", "/locale type_invalid")...)
		wantFaults(t, "update a user, both taken", update(object{"email": s.sam.Email, "username": s.root.Username}), http.StatusConflict, "username_taken", "/email taken", "/username taken")
		wantFaults(t, "update a user, address taken", update(object{"email": s.sam.Email, "username": newName()}), http.StatusConflict, "email_taken", "/email taken")
		wantInvalid(t, "update a user, a rule and a conflict", update(object{"email": s.sam.Email, "username": "a b"}), "/email taken", "/username format_invalid")

		profile := with(object{"locale": "x"})
		delete(profile, "email")
		wantInvalid(t, "update the profile, rules and schema", patch(s.asUna.Copy(), profile), append(names[1:], "/locale format_invalid")...)
		delete(profile, "locale")
		wantInvalid(t, "update the profile, rules", patch(s.asUna.Copy(), profile), names[1:]...)

		change := func(body object) *servertest.Response {
			return s.asUna.Copy().Do(http.MethodPost, "/accounts/password/change", body)
		}
		wantInvalid(t, "change the password, rules", change(object{"current_password": "x", "new_password": "password1234"}),
			"/current_password password_wrong", "/new_password password_common")
		wantInvalid(t, "change the password, own name", change(object{"current_password": "x", "new_password": s.una.Email}),
			"/current_password password_wrong", "/new_password password_common")
		wantInvalid(t, "change the password, schema and rule", change(object{"new_password": "password1234"}), "/current_password required", "/new_password password_common")
		wantInvalid(t, "change the password, schema", change(object{"current_password": "", "new_password": strings.Repeat("z", 257)}),
			"/current_password required", "/new_password too_long maximum 256")

		confirm := func(body object) *servertest.Response {
			return post(s.Server, "/accounts/password/reset/confirm", body)
		}
		wantInvalid(t, "reset, schema and rule", confirm(object{"new_password": "password1234", "password": "x"}), "/token required", "/new_password password_common", "/password field_unknown")
		wantInvalid(t, "change the address, schema and rule", s.asUna.Copy().Do(http.MethodPost, "/accounts/email/change", object{"email": rules["email"], "password": "x"}),
			"/email format_invalid", "/password field_unknown")
		if after := rowsOf(t, s.Server); after != rows {
			t.Errorf("the requests added rows: %s before, %s after", rows, after)
		}
		for _, before := range []models.User{user, other} {
			if diff := cmp.Diff(before, stored(t, s.Server, before.Email), cmpopts.IgnoreFields(models.User{}, "LockCount", "LastLogin")); diff != "" {
				t.Errorf("the requests changed a user:\n%s", diff)
			}
		}
	})
}

// rowsOf counts the rows of tables that a rejected request must not change. It leaves out events,
// because a wrong password adds one.
func rowsOf(t *testing.T, s *servertest.Server) string {
	t.Helper()
	var counts []string
	for _, table := range []string{"users", "sessions", "one_time_tokens", "outbox"} {
		counts = append(counts, fmt.Sprint(table, " ", s.Database.Count(t, "SELECT COUNT(*) FROM "+table)))
	}
	return strings.Join(counts, ", ")
}

// The names a user already has are accepted unchanged, even if the rules would reject them as new
// names.
func TestUnchangedNamesAreAcceptedDespiteNewRules(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		const oldName = "una of the old service"
		oldEmail := newName() + "@" + mixedDomain
		s.Database.Exec(t, "UPDATE users SET username = ?, username_norm = ?, first_name = ?, email = ? WHERE id = ?", oldName, oldName, "a\u202eb", oldEmail, s.una.ID)
		old := object{"username": oldName, "first_name": "a\u202eb"}
		with := func(body, more object) object {
			body = maps.Clone(body)
			maps.Copy(body, more)
			return body
		}
		wantInvalid(t, "profile", patch(s.asUna.Copy(), with(old, object{"locale": "x"})), "/locale format_invalid")
		wantInvalid(t, "user", edit(s.asRoot.Copy(), s.una, with(old, object{"email": oldEmail, "locale": "x"})), "/locale format_invalid")
		wantInvalid(t, "another user", edit(s.asRoot.Copy(), s.sam, with(old, object{"locale": "x"})), "/locale format_invalid", "/username format_invalid", "/first_name format_invalid")
		wantInvalid(t, "no user", s.asRoot.Copy().Do(http.MethodPatch, "/admin/users/999999", with(old, object{"locale": "x"})), "/locale format_invalid", "/username format_invalid", "/first_name format_invalid")
		edit(s.asRoot, s.una, with(old, object{"email": oldEmail, "last_name": "King"})).Want(t, http.StatusOK, "")
		patch(s.asUna, with(old, object{"last_name": "Lovelace"})).Want(t, http.StatusOK, "")

		// Such an address is also accepted as the recipient of a mail, and such a name at login.
		for _, path := range []string{"/accounts/password/reset", "/accounts/email/resend"} {
			wantInvalid(t, path, post(s.Server, path, object{"email": oldEmail, "nope": 1}), "/nope field_unknown")
			post(s.Server, path, object{"email": oldEmail}).Want(t, http.StatusAccepted, "")
		}
		wantInvalid(t, "login", post(s.Server, "/accounts/login", object{"username": oldName, "password": ""}), "/password required")
	})
}
