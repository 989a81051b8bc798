package server_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/servertest"
)

// GET, HEAD and OPTIONS change no row on any path, with any headers. They are rejected where they
// are not an operation. HEAD is an operation wherever GET is.
func TestReadsChangeNoRow(t *testing.T) {
	t.Attr("control", "44")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})
		ada := newAda(t, s)
		var clients []*servertest.Client
		for _, transport := range transports {
			clients = append(clients, s.Login(ada, transport))
		}
		s.Database.Age(t, rotation) // a refresh would rotate
		before := s.Database.Dump(t)
		for _, op := range servertest.Operations() {
			e := exampleOf(t, op)
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				for _, c := range clients {
					r := c.Copy().Do(method, e.path, e.body, servertest.Header("X-CSRFToken", csrfOf(t, c)),
						servertest.Header("X-HTTP-Method-Override", op.Method), servertest.Header("X-HTTP-Method", op.Method))
					if r.Status >= 500 || r.Status < 300 && method == http.MethodOptions || len(r.Cookies()) > 0 {
						t.Errorf("%s %s: %d %s", method, e.path, r.Status, r.Code())
					}
				}
			}
		}
		wantUnchanged(t, s, before)
	})
}

// A thousand reads write nothing, not even a time of last use. Otherwise a client could keep the
// database busy by reading.
func TestThousandReadsWriteNothing(t *testing.T) {
	t.Attr("control", "71")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		for _, transport := range transports {
			c := s.Login(u, transport)
			before := s.Database.Dump(t)
			for range 250 {
				c.Profile().Want(t, http.StatusOK, "")
			}
			for _, path := range []string{"/accounts/sessions", "/accounts/session", "/accounts/profile/export"} {
				c.Copy().Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "")
			}
			wantUnchanged(t, s, before)
		}
	})
}
