package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// session is a client of the product.
type session struct {
	transport             string
	id                    uuid.UUID
	user                  int64
	expiresAt             time.Time
	access, refresh, csrf string
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	CSRFToken    string `json:"csrf_token"`
	Session      struct {
		ID        uuid.UUID `json:"id"`
		ExpiresAt time.Time `json:"expires_at"`
	} `json:"session"`
	User struct {
		ID int64 `json:"id"`
	} `json:"user"`
}

// take keeps the tokens of a response, from the body or from the cookies.
func (s *session) take(header http.Header, body []byte) error {
	var a tokenAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	cookies := map[string]string{}
	for _, line := range header["Set-Cookie"] {
		name, rest, _ := strings.Cut(line, "=")
		cookies[name], _, _ = strings.Cut(rest, ";")
	}
	s.id, s.expiresAt, s.csrf = a.Session.ID, a.Session.ExpiresAt, a.CSRFToken
	s.user = cmp.Or(a.User.ID, s.user)
	s.access = cmp.Or(a.AccessToken, cookies["access"])
	s.refresh = cmp.Or(a.RefreshToken, cookies["refreshtoken"])
	return nil
}

// refreshSteps returns a client that refreshes continuously. It checks that each refresh is a
// rotation: the server must return a new token.
func (s *session) refreshSteps() step {
	var shown string
	return step{
		request: func() []byte {
			shown = cmp.Or(s.refresh, s.access)
			const path = "/accounts/refresh_token"
			switch s.transport {
			case "body":
				return post(path, []byte(`{"refresh_token":"`+s.refresh+`"}`))
			case "cookies":
				return post(path, nil, "X-CSRFToken: "+s.csrf, "Cookie: access="+s.access+"; refreshtoken="+s.refresh)
			case "server_held":
				return post(path, nil, "X-CSRFToken: "+s.csrf, "Cookie: access="+s.access)
			}
			return post(path, nil, "X-CSRFToken: "+s.csrf, "Cookie: refreshtoken="+s.refresh)
		},
		accept: func(header http.Header, body []byte) error {
			if err := s.take(header, body); err != nil {
				return err
			}
			if got := cmp.Or(s.refresh, s.access); got == shown || got == "" {
				return errors.New("a refresh returned no new token")
			}
			return nil
		},
	}
}

func loginRequest(name, transport string) []byte {
	return post("/accounts/login", fmt.Appendf(nil, `{"username":%q,"password":%q,"token_transport":%q}`, name, password, transport))
}

// logIn creates n sessions, one per user as long as there are enough users.
func (p *prepared) logIn(ctx context.Context, n int, transport string) ([]*session, error) {
	sessions, faults := make([]*session, n), make([]error, n)
	slots := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sessions[i] = &session{transport: transport}
			faults[i] = sessions[i].logIn(ctx, p.productAddr, userName(sessionUser, i))
		})
	}
	all.Wait()
	return sessions, errors.Join(faults...)
}

func (s *session) logIn(ctx context.Context, addr, name string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	header, body, err := c.exchange(loginRequest(name, s.transport))
	if err != nil {
		return err
	}
	return s.take(header, body)
}
