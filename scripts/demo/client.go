package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// answer is a response. Which members are set depends on the transport.
type answer struct {
	status     int
	cookies    []*http.Cookie
	receivedAt time.Time
	tokens     tokens // the client's tokens after this response

	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	CSRFToken    string `json:"csrf_token"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshIn    int    `json:"refresh_in"`
	Session      struct {
		ID string `json:"id"`
	} `json:"session"`
	User struct {
		ID       int64  `json:"id"`
		Username string `json:"username"`
		Email    string `json:"email"`
	} `json:"user"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// send makes a request with the given tokens, writes the request and its response into the
// transcript, and keeps the tokens of the response, if any. Errors: a status or code that the story
// does not expect.
func (s *story) send(ctx context.Context, method, path string, with tokens, status int, code string) (answer, error) {
	request, carried, err := s.request(ctx, method, path, with)
	if err != nil {
		return answer{}, err
	}
	a, err := exchange(request)
	if err != nil {
		return a, err
	}
	s.writeExchange(method, path, carried, a)
	if a.status == http.StatusServiceUnavailable { // delayed too long to check its age
		return a, errTooSlow
	}
	if a.status != status || a.Code != code {
		return a, fmt.Errorf("%s %s has status %d %s, want %d %s", method, path, a.status, a.Code, status, code)
	}
	if a.Session.ID != "" {
		a.tokens = s.tokensOf(a)
		s.now = a.tokens
	}
	return a, nil
}

// request builds a request with the tokens placed as the transport requires. The second result
// describes the credentials for the transcript.
func (s *story) request(ctx context.Context, method, path string, with tokens) (*http.Request, []string, error) {
	body, carried := s.body(path, with)
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if with == (tokens{}) {
		return request, carried, nil
	}
	if s.bearer && method == http.MethodGet {
		request.Header.Set("Authorization", "Bearer "+with.access)
		return request, []string{"Bearer " + shortenSecret(with.access)}, nil
	}
	for i, name := range s.cookies {
		value := map[string]string{"access": with.access, "refreshtoken": with.refresh}[name]
		request.Header.Add("Cookie", name+"="+value)
		carried = append(carried, strings.Repeat("cookie ", 1-min(i, 1))+name+" "+shortenSecret(value))
	}
	if len(s.cookies) > 0 && method != http.MethodGet {
		request.Header.Set("X-CSRFToken", with.csrf)
		carried = append(carried, "X-CSRFToken")
	}
	return request, carried, nil
}

// body returns the body of a login or, where the transport sends it in the body, the refresh token.
func (s *story) body(path string, with tokens) ([]byte, []string) {
	var members map[string]string
	var carried string
	switch {
	case path == "/accounts/login":
		members = map[string]string{"username": username, "password": password, "token_transport": s.name}
		carried = fmt.Sprintf("body username, password, token_transport %q", s.name)
	case s.refreshInBody && path != "/accounts/profile":
		members = map[string]string{"refresh_token": with.refresh}
		carried = "body refresh_token " + shortenSecret(with.refresh)
	default:
		return nil, nil
	}
	body, err := json.Marshal(members)
	if err != nil { // impossible for a map of strings
		panic(err)
	}
	return body, []string{carried}
}

func exchange(request *http.Request) (answer, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	a := answer{status: response.StatusCode, cookies: response.Cookies(), receivedAt: time.Now()}
	if response.StatusCode == http.StatusNoContent {
		return a, nil
	}
	return a, json.NewDecoder(response.Body).Decode(&a)
}

// tokensOf returns the client's tokens after a response, taken from its body and its cookies.
func (s *story) tokensOf(a answer) tokens {
	cookie := map[string]string{}
	for _, c := range a.cookies {
		cookie[c.Name] = c.Value
	}
	t := tokens{access: cmp.Or(a.AccessToken, cookie["access"]), refresh: cmp.Or(a.RefreshToken, cookie["refreshtoken"]), csrf: a.CSRFToken}
	if !slices.Contains(s.cookies, "refreshtoken") && !s.refreshInBody {
		t.refresh = t.access
	}
	return t
}

// shortenSecret returns the end of a secret, enough to recognize it.
func shortenSecret(secret string) string {
	return "…" + secret[max(0, len(secret)-6):]
}

func (s *story) writeExchange(method, path string, carried []string, a answer) {
	write(s.out, fmt.Sprintf("   %-4s %-23s  %d  %s", method, path, a.status, strings.Join(carried, ", ")))
	line := func(name, value string) { paragraph(s.out, fmt.Sprintf("      %-23s ", name), value) }
	for _, m := range []struct{ name, value string }{
		{"access_token", a.AccessToken}, {"refresh_token", a.RefreshToken}, {"csrf_token", a.CSRFToken}, {"session.id", a.Session.ID},
	} {
		if m.value != "" {
			line(m.name, shortenSecret(m.value))
		}
	}
	if a.Session.ID != "" {
		line("expires_in, refresh_in", fmt.Sprintf("%d, %d", a.ExpiresIn, a.RefreshIn))
	}
	if a.User.Username != "" {
		line("user", fmt.Sprintf("%d %s <%s>", a.User.ID, a.User.Username, a.User.Email))
	}
	for _, c := range a.cookies {
		line("Set-Cookie", cookieText(c))
	}
	if a.Code != "" {
		line("code", a.Code)
		line("detail", a.Detail)
	}
}

func cookieText(c *http.Cookie) string {
	if c.MaxAge < 0 {
		return c.Name + " is cleared"
	}
	text := fmt.Sprintf("%s %s, Max-Age %d", c.Name, shortenSecret(c.Value), c.MaxAge)
	if c.HttpOnly {
		return text + ", HttpOnly"
	}
	return text + ", readable by scripts"
}
