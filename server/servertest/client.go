package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"example.com/accounts/server/token"
)

// Client is a front end: a cookie jar, and what it remembers of its tokens.
type Client struct {
	Server    *Server
	HTTP      *http.Client
	Transport token.Transport
	Access    string // hybrid, body
	Refresh   string // body
	CSRF      string // the cookie transports
	SessionID string
	t         testing.TB
}

// Response is an answer, read to its end and held against the contract.
type Response struct {
	Status int
	Header http.Header
	Raw    []byte
	JSON   map[string]any // nil without a JSON object
	Public string         // the server's public URL, or empty if the test does not know it
}

// Code is a problem's code.
func (r *Response) Code() string { return r.Text("code") }

// Text is a top-level string member, or empty.
func (r *Response) Text(member string) string {
	text, _ := r.JSON[member].(string)
	return text
}

// Cookies are the Set-Cookie lines.
func (r *Response) Cookies() []*http.Cookie { return (&http.Response{Header: r.Header}).Cookies() }

// Anonymous is a client that has not logged in.
func (s *Server) Anonymous() *Client {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	return &Client{Server: s, HTTP: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t: s.t}
}

// Login logs in a client and fails the test if that does not work.
func (s *Server) Login(u User, transport token.Transport) *Client {
	s.t.Helper()
	c := s.Anonymous()
	r := c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport})
	r.Want(s.t, http.StatusOK, "")
	return c
}

// At makes the same client talk to another replica: tokens and cookies stay.
func (c *Client) At(s *Server) *Client {
	other := *c
	other.Server = s
	u, v := c.url(), other.url()
	other.HTTP.Jar.SetCookies(v, c.HTTP.Jar.Cookies(u))
	return &other
}

func (c *Client) url() *url.URL {
	u, err := url.Parse(c.Server.URL)
	must(c.t, err)
	return u
}

// Want asks for a status and, if it is not empty, a problem code.
func (r *Response) Want(t testing.TB, status int, code string) *Response {
	t.Helper()
	if r.Status != status || code != "" && r.Code() != code {
		t.Fatalf("status %d %s, want %d %s\n%s", r.Status, r.Code(), status, code, r.Raw)
	}
	return r
}

// Option changes a request before it is sent.
type Option func(*http.Request)

// Header sets a header; an empty value removes it.
func Header(name, value string) Option {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

// Cookie adds a cookie beside the jar's.
func Cookie(name, value string) Option {
	return func(r *http.Request) { r.Header.Add("Cookie", name+"="+value) }
}

// Do sends a request with everything the client has: its Bearer token, its cookies, its CSRF token on unsafe methods.
// A body may be nil, a string that is sent as it is, or a value to encode. The client learns from the answer.
func (c *Client) Do(method, path string, body any, options ...Option) *Response {
	c.t.Helper()
	r, err := c.Try(method, path, body, options...)
	must(c.t, err)
	return r
}

// Try is Do for tests that cut connections: an error instead of an end of the test.
func (c *Client) Try(method, path string, body any, options ...Option) (*Response, error) {
	request, err := c.request(method, path, body)
	if err != nil {
		return nil, err
	}
	for _, option := range options {
		option(request)
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	r := &Response{Status: answer.StatusCode, Header: answer.Header, Raw: raw, Public: c.Server.Config.PublicURL}
	_ = json.Unmarshal(raw, &r.JSON) // not every answer is an object
	judge(c.t, request, r)
	c.learn(r)
	return r, nil
}

func (c *Client) request(method, path string, body any) (*http.Request, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, c.Server.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Access != "" {
		request.Header.Set("Authorization", "Bearer "+c.Access)
	}
	if c.CSRF != "" && method != http.MethodGet && method != http.MethodHead {
		request.Header.Set("X-CSRFToken", c.CSRF)
	}
	return request, nil
}

func (c *Client) learn(r *Response) {
	if r.Status != http.StatusOK || r.Text("token_transport") == "" {
		return
	}
	c.Transport = token.Transport(r.Text("token_transport"))
	if session, ok := r.JSON["session"].(map[string]any); ok {
		c.Access, c.Refresh = r.Text("access_token"), r.Text("refresh_token")
		c.SessionID, _ = session["id"].(string)
	}
	c.CSRF = r.Text("csrf_token")
}

// RefreshTokens refreshes with the client's own credential.
func (c *Client) RefreshTokens(options ...Option) *Response {
	c.t.Helper()
	return c.Do(http.MethodPost, "/accounts/refresh_token", c.RefreshBody(), options...)
}

// RefreshBody is the body of a refresh or logout: the token in body, else nothing.
func (c *Client) RefreshBody() any {
	if c.Transport == token.Body {
		return map[string]any{"refresh_token": c.Refresh}
	}
	return nil
}

// Profile reads the profile.
func (c *Client) Profile(options ...Option) *Response {
	c.t.Helper()
	return c.Do(http.MethodGet, "/accounts/profile", nil, options...)
}

// Logout logs out.
func (c *Client) Logout(options ...Option) *Response {
	c.t.Helper()
	return c.Do(http.MethodPost, "/accounts/logout", c.RefreshBody(), options...)
}

// Copy is a client with the same tokens and a jar of its own: another device that stole them, or a request that
// answers nobody. What one learns the other does not.
func (c *Client) Copy() *Client {
	c.t.Helper()
	other := *c
	jar, err := cookiejar.New(nil)
	must(c.t, err)
	jar.SetCookies(c.url(), c.HTTP.Jar.Cookies(c.url()))
	h := *c.HTTP
	h.Jar = jar
	other.HTTP = &h
	return &other
}

// CookieValue is a cookie in the jar, or empty.
func (c *Client) CookieValue(name string) string {
	for _, cookie := range c.HTTP.Jar.Cookies(c.url()) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// Dial is a server of another process, for clients alone.
func Dial(t testing.TB, url string) *Server { return &Server{URL: url, t: t} }
