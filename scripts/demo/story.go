package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// transport is one of the four transports, with the texts of its story.
type transport struct {
	name, about    string
	bearer         bool     // the access token is in the body of responses and is sent in the Authorization header
	refreshInBody  bool     // the refresh token is in the body of responses and of requests
	cookies        []string // names of the cookies that contain tokens
	old, oldHolder string   // the replayed token, and a party that could have it
}

var transports = []transport{
	{
		name: "hybrid", about: "The default, for single-page apps. The access token is in the response body and is sent as a Bearer token. The refresh token is in a cookie that scripts cannot read.",
		bearer: true, cookies: []string{"refreshtoken"},
		old: "the first refresh cookie", oldHolder: "an attacker who has copied the cookies",
	},
	{
		name: "cookies", about: "For traditional web apps. Both tokens are in cookies that scripts cannot read, and never in a body.",
		cookies: []string{"access", "refreshtoken"},
		old:     "the first refresh cookie", oldHolder: "an attacker who has copied the cookies",
	},
	{
		name: "server_held", about: "For browser apps that must not hold a refresh token. The access cookie identifies the session, even after the token in it has expired.",
		cookies: []string{"access"},
		old:     "the first access cookie", oldHolder: "an attacker who has copied the cookies",
	},
	{
		name: "body", about: "For mobile, desktop and command-line apps. Both tokens are in the response body. The server sets no cookies, so CSRF is not possible.",
		bearer: true, refreshInBody: true,
		old: "the first refresh token", oldHolder: "an attacker who has read the app's storage",
	},
}

// tokens are the tokens of a client. In the transport server_held, the access token is also the
// credential of a refresh.
type tokens struct{ access, refresh, csrf string }

// story is one client of one transport, and the transcript of its requests.
type story struct {
	transport
	out  io.Writer
	url  string
	step int
	now  tokens // the latest tokens
}

var errTooSlow = errors.New("the machine is too busy for such a short rotation interval")

func (s *story) play(ctx context.Context) error {
	s.title()
	for _, chapter := range []func(context.Context) error{s.beginning, s.theft, s.ending} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beginning logs in, uses the token, refreshes it, and repeats the same refresh.
func (s *story) beginning(ctx context.Context) error {
	s.say("Log in. This starts a session.")
	login, err := s.login(ctx)
	if err != nil {
		return err
	}
	s.say("Read the profile with the access token. The server verifies the token and reads the session from the database.")
	if _, err := s.send(ctx, http.MethodGet, "/accounts/profile", s.now, http.StatusOK, ""); err != nil {
		return err
	}
	s.say("Wait %d s, as refresh_in specifies, and refresh. The token is now older than W+M, so it rotates: the response has new tokens of the same session.", login.RefreshIn)
	if err := login.wait(ctx, time.Duration(login.RefreshIn)*time.Second); err != nil {
		return err
	}
	old, begin := s.now, time.Now()
	first, err := s.refresh(ctx, old, http.StatusOK, "")
	if err != nil {
		return err
	}
	s.say("Repeat the refresh with the superseded token, like a second tab or a client that lost the response. Within W, the server returns the same tokens again, and the session continues.")
	again, err := s.refresh(ctx, old, http.StatusOK, "")
	switch {
	case err == nil && again.tokens == first.tokens && first.tokens.refresh != old.refresh:
		return s.replay(ctx, first, old)
	case time.Since(begin) > rotation:
		return errTooSlow
	case err == nil:
		return errors.New("the second refresh returned other tokens than the first")
	}
	return err
}

// replay presents the superseded token after its grace period.
func (s *story) replay(ctx context.Context, rotated answer, old tokens) error {
	const pause = rotation + rotation/2
	s.say("Wait %s (1.5 W) and present %s again. An honest client never does this, but %s might. The server cannot distinguish them, so it revokes the session.", inSeconds(pause), s.old, s.oldHolder)
	if err := rotated.wait(ctx, pause); err != nil {
		return err
	}
	_, err := s.refresh(ctx, old, http.StatusUnauthorized, "refresh_reused")
	return err
}

// theft shows that the replay has revoked the session.
func (s *story) theft(ctx context.Context) error {
	s.say("The session is revoked, so its newest tokens are rejected too, for a read and for a refresh.")
	if _, err := s.send(ctx, http.MethodGet, "/accounts/profile", s.now, http.StatusUnauthorized, "session_revoked"); err != nil {
		return err
	}
	_, err := s.refresh(ctx, s.now, http.StatusUnauthorized, "session_revoked")
	return err
}

// ending starts a new session and logs out.
func (s *story) ending(ctx context.Context) error {
	s.say("Log in again. The new session is independent of the revoked one.")
	if _, err := s.login(ctx); err != nil {
		return err
	}
	s.say("Log out. The session is revoked immediately%s.", map[bool]string{true: ", and its cookies are cleared"}[len(s.cookies) > 0])
	if _, err := s.send(ctx, http.MethodPost, "/accounts/logout", s.now, http.StatusNoContent, ""); err != nil {
		return err
	}
	s.say("A copy of the access token is rejected, although it has not expired.")
	_, err := s.send(ctx, http.MethodGet, "/accounts/profile", s.now, http.StatusUnauthorized, "session_revoked")
	return err
}

func (s *story) login(ctx context.Context) (answer, error) {
	return s.send(ctx, http.MethodPost, "/accounts/login", tokens{}, http.StatusOK, "")
}

func (s *story) refresh(ctx context.Context, with tokens, status int, code string) (answer, error) {
	return s.send(ctx, http.MethodPost, "/accounts/refresh_token", with, status, code)
}

// wait waits until d after the response arrived, so at least d after the server handled the
// request.
func (a answer) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(a.receivedAt.Add(d))):
		return nil
	}
}

func (s *story) say(format string, args ...any) {
	s.step++
	write(s.out, "")
	paragraph(s.out, fmt.Sprintf("%d. ", s.step), fmt.Sprintf(format, args...))
}
