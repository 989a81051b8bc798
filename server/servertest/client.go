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

// Client is a front end with a cookie jar and the tokens of its last response.
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

// Response is a complete response that has been compared with the contract.
type Response struct {
	Status int
	Header http.Header
	Raw    []byte
	JSON   map[string]any // nil if the body is not a JSON object
	Public string         // the server's public URL, or empty if the test does not know it
}

// Code returns the code of a problem.
func (r *Response) Code() string { return r.Text("code") }

// Text returns a top-level string member, or "".
func (r *Response) Text(member string) string {
	text, _ := r.JSON[member].(string)
	return text
}

// Cookies returns the cookies of the Set-Cookie lines.
func (r *Response) Cookies() []*http.Cookie { return (&http.Response{Header: r.Header}).Cookies() }

// Anonymous returns a client that has not logged in.
func (s *Server) Anonymous() *Client {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	return &Client{Server: s, HTTP: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t: s.t}
}

// Login returns a client that is logged in. It fails the test if the login fails.
func (s *Server) Login(u User, transport token.Transport) *Client {
	s.t.Helper()
	c := s.Anonymous()
	r := c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport})
	r.Want(s.t, http.StatusOK, "")
	return c
}

// At returns a copy of the client for another replica, with the same tokens and cookies.
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

// Want fails the test if the response does not have the status and, unless code is empty, the
// problem code.
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

// Cookie adds a cookie to those of the jar.
func Cookie(name, value string) Option {
	return func(r *http.Request) { r.Header.Add("Cookie", name+"="+value) }
}

// Do sends a request with all credentials of the client: its bearer token, its cookies and, with
// unsafe methods, its CSRF token. The body may be nil, a string that is sent as it is, or a value
// that is encoded as JSON. The client stores the tokens of the response. Do fails the test if there
// is no response.
func (c *Client) Do(method, path string, body any, options ...Option) *Response {
	c.t.Helper()
	r, err := c.Try(method, path, body, options...)
	must(c.t, err)
	return r
}

// Try is Do for tests that cut connections: it returns an error instead of failing the test.
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
	_ = json.Unmarshal(raw, &r.JSON) // not every body is an object
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

// RefreshBody returns the body of a refresh or logout: the refresh token with the transport body,
// and nil otherwise.
func (c *Client) RefreshBody() any {
	if c.Transport == token.Body {
		return map[string]any{"refresh_token": c.Refresh}
	}
	return nil
}

// Profile requests the profile.
func (c *Client) Profile(options ...Option) *Response {
	c.t.Helper()
	return c.Do(http.MethodGet, "/accounts/profile", nil, options...)
}

// Logout logs out.
func (c *Client) Logout(options ...Option) *Response {
	c.t.Helper()
	return c.Do(http.MethodPost, "/accounts/logout", c.RefreshBody(), options...)
}

// Copy returns a client with the same tokens and a jar of its own, such as the device of an
// attacker who stole the tokens, or a client whose response is lost. Neither client learns the
// tokens that the other receives.
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

// CookieValue returns the value of a cookie in the jar, or "".
func (c *Client) CookieValue(name string) string {
	for _, cookie := range c.HTTP.Jar.Cookies(c.url()) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// Dial returns a Server for a server in another process. Only its clients can be used.
func Dial(t testing.TB, url string) *Server { return &Server{URL: url, t: t} }
