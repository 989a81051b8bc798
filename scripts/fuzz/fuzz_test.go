package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// TestShortFuzzFindsNoFault runs a short search on every engine, always with the same seed. `make
// fuzz` runs the long one.
func TestShortFuzzFindsNoFault(t *testing.T) {
	t.Attr("control", "86")
	t.Attr("control", "88")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		const seed = 20
		var out bytes.Buffer
		missing, err := search(settings{n: 4000, seed: seed, engine: string(engine)}, &out)
		t.Logf("seed %d\n%s", seed, out.String())
		if err != nil {
			t.Error(err)
		}
		if len(missing) > 0 {
			t.Errorf("no request got these documented responses: %v", missing)
		}
	})
}

// TestFuzzFindsEachFault checks that the fuzzer finds each kind of fault, behind a server that
// has it but rarely shows it.
func TestFuzzFindsEachFault(t *testing.T) {
	t.Attr("control", "88")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		if err := runInScope(func(t2 scope) error { return eachFault(t, t2, engine) }); err != nil {
			t.Error(err)
		}
	})
}

// fault spoils a response, and reports whether the response had something to spoil.
type fault struct {
	want  string // part of the failure
	spoil func(f *fuzzer, r *http.Request, a *httptest.ResponseRecorder) bool
}

var faults = map[string]fault{
	"undocumented status": {"a status that the operation does not document", func(_ *fuzzer, r *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusCreated || r.URL.Path == "/accounts/login" && a.Code == http.StatusOK, func() { a.Code = http.StatusCreated })
	}},
	"unknown field in a response": {"violates the contract", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return replace(a, `{"user":{`, `{"user":{"password":"x",`)
	}},
	"unknown field in a problem": {`property "sql" is unsupported`, func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return a.Code == http.StatusConflict && replace(a, `{"code":`, `{"sql":"x","code":`)
	}},
	"401 without a challenge": {"violates the contract", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusUnauthorized, func() { a.Result().Header.Del("WWW-Authenticate") })
	}},
	"error with another media type": {"violates the contract", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusUnsupportedMediaType, func() { a.Result().Header.Set("Content-Type", "application/json") })
	}},
	"cookie in a rejection": {"a Set-Cookie", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusForbidden, func() { a.Result().Header.Set("Set-Cookie", "access=") })
	}},
	"500 for a name": {"a 500", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusUnprocessableEntity && strings.Contains(a.Body.String(), "first_name"), func() { a.Code = http.StatusInternalServerError })
	}},
	"a 503": {"a 503", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusAccepted, func() { a.Code = http.StatusServiceUnavailable })
	}},
	"write by a rejected request": {"rejected, but caused an UPDATE of users", func(f *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return change(a.Code == http.StatusUnprocessableEntity, func() { f.world.s.Database.Exec(f.world.t, "UPDATE users SET last_login = last_login") })
	}},
	"write by a read": {"a GET caused an INSERT of events", func(f *fuzzer, r *http.Request, a *httptest.ResponseRecorder) bool {
		return change(r.URL.Path == "/accounts/session" && a.Code == http.StatusOK, func() {
			f.world.s.Database.Exec(f.world.t, "INSERT INTO events (id, user_id, kind, detail, ip, user_agent, created_at) VALUES ('0123456789abcdef', 1, '', '', '', '', '2026-01-01')")
		})
	}},
	"write to another user": {"an UPDATE of sessions of another user", func(f *fuzzer, r *http.Request, a *httptest.ResponseRecorder) bool {
		return change(r.Method == http.MethodDelete && a.Code == http.StatusNoContent, func() { f.world.s.Database.Exec(f.world.t, "UPDATE sessions SET ip = ''") })
	}},
	"data of another user": {"reveals another user", func(f *fuzzer, r *http.Request, a *httptest.ResponseRecorder) bool {
		u, next := f.world.users[0].id, f.world.users[1].id
		return r.Method == http.MethodGet && replace(a, fmt.Sprintf(`"id":%d,`, u), fmt.Sprintf(`"id":%d,`, next))
	}},
	"address of another user": {"reveals an address of another user", func(f *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return replace(a, `"detail":"The path or the resource does not exist`, `"detail":"`+f.world.users[2].email)
	}},
	"session of another user": {"reveals a session of another user", func(f *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		return replace(a, `"detail":"The access token has expired.`, `"detail":"`+f.world.sessions[0].id)
	}},
	"aborted response": {"aborted the response", func(_ *fuzzer, _ *http.Request, a *httptest.ResponseRecorder) bool {
		if a.Code == http.StatusRequestEntityTooLarge {
			panic(http.ErrAbortHandler)
		}
		return false
	}},
}

func change(where bool, how func()) bool {
	if where {
		how()
	}
	return where
}

func replace(a *httptest.ResponseRecorder, old, text string) bool {
	before := a.Body.String()
	after := strings.Replace(before, old, text, 1)
	a.Body.Reset()
	a.Body.WriteString(after)
	return before != after
}

func eachFault(t *testing.T, scope scope, engine servertest.Engine) error {
	f, err := newFuzzer(scope, engine)
	if err != nil {
		return err
	}
	whole := f.world.handler
	for name, each := range faults {
		t.Run(name, func(t *testing.T) {
			modified := 0
			f.world.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				whole.ServeHTTP(w, r)
				if each.spoil(f, r, w.(*httptest.ResponseRecorder)) {
					modified++
				}
			})
			for seed := range 100 {
				if failed := f.try(f.plans.Example(seed)); failed != nil {
					if !strings.Contains(failed.key, each.want) {
						t.Errorf("%s, want %s", failed.key, each.want)
					}
					return
				}
			}
			t.Errorf("not found in 100 runs with %d modified responses", modified)
		})
	}
	return nil
}
