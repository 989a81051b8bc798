package server

import (
	"context"
	"net/http"

	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// sessionHandlers has the handlers for sessions: login, refresh, logout, and the list of the user's
// sessions.
type sessionHandlers struct {
	service *accounts.Service
	cookies cookieNames
}

func (h sessionHandlers) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.service.Login(ctx, accounts.LoginInput{
		Name: r.Body.Username, Password: r.Body.Password, Transport: requestedTransport(r.Body.TokenTransport), Client: call.client,
	})
	if err != nil {
		return nil, err
	}
	return newLoginResponse(h.cookies, call, tokens, u), nil
}

func (h sessionHandlers) RefreshToken(ctx context.Context, r api.RefreshTokenRequestObject) (api.RefreshTokenResponseObject, error) {
	call := callOf(ctx)
	in := accounts.RefreshInput{Credential: call.credential, Client: call.client, Received: call.received}
	if r.Params.RefreshAttempt != nil {
		in.Attempt = *r.Params.RefreshAttempt
	}
	tokens, err := h.service.RefreshToken(ctx, in)
	if err != nil {
		return nil, err
	}
	d := h.cookies.deliver(tokens)
	return refreshResponse{api.RefreshToken200JSONResponse(d.body), d.cookies}, nil
}

func (h sessionHandlers) Logout(ctx context.Context, _ api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	call := callOf(ctx)
	credential := call.credential
	if err := h.service.Logout(ctx, credential, call.client); err != nil {
		return nil, err
	}
	return endedResponse{h.cookiesToClear(credential)}, nil
}

// cookiesToClear returns the cookies that delete those of a session after a logout with this
// credential. After a logout with a token in the body there are none. Otherwise they delete the
// cookies of every transport, because an access token does not tell the transport of its session.
func (h sessionHandlers) cookiesToClear(c accounts.Credential) []*http.Cookie {
	if c.Location == accounts.RequestBody {
		return nil
	}
	return h.cookies.clear(accounts.Cookies)
}

func (h sessionHandlers) GetSession(ctx context.Context, _ api.GetSessionRequestObject) (api.GetSessionResponseObject, error) {
	call := callOf(ctx)
	signedOut := api.GetSession200JSONResponse{Session: nullable.NewNullNullable[api.CurrentSession](), CsrfToken: textOrNull("")}
	if !call.authenticated {
		return signedOut, nil
	}
	current, err := h.service.GetSession(ctx, call.credential)
	switch {
	case isRejectedCredential(err):
		return signedOut, nil
	case err != nil:
		return nil, err
	}
	return api.GetSession200JSONResponse{
		Session: nullable.NewNullableWithValue(api.CurrentSession{
			ID: current.ID, ExpiresAt: timestamp(current.ExpiresAt), TokenTransport: api.TokenTransport(current.Transport),
			RecentAuthenticationUntil: timestampOrNull(current.RecentUntil),
		}),
		CsrfToken: textOrNull(current.CSRF),
	}, nil
}

func (h sessionHandlers) Reauthenticate(ctx context.Context, r api.ReauthenticateRequestObject) (api.ReauthenticateResponseObject, error) {
	call := callOf(ctx)
	life, err := h.service.Reauthenticate(ctx, call.principal, textOf(r.Body.Password), call.client)
	return api.Reauthenticate200JSONResponse{ExpiresIn: int(life.Seconds())}, err
}

func (h sessionHandlers) ListSessions(ctx context.Context, r api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	p := callOf(ctx).principal
	list, err := h.service.ListSessions(ctx, p)
	if err != nil {
		return nil, err
	}
	page, err := pageOfSessions(list, p.Session.ID, r.Params.Cursor, r.Params.Limit)
	return api.ListSessions200JSONResponse(page), err
}

func (h sessionHandlers) RevokeSession(ctx context.Context, r api.RevokeSessionRequestObject) (api.RevokeSessionResponseObject, error) {
	call := callOf(ctx)
	p := call.principal
	if err := h.service.RevokeSession(ctx, p, r.SessionID, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, p, p.Session.ID == r.SessionID), nil
}

func (h sessionHandlers) RevokeAllSessions(ctx context.Context, r api.RevokeAllSessionsRequestObject) (api.RevokeAllSessionsResponseObject, error) {
	call := callOf(ctx)
	p := call.principal
	keep := r.Params.KeepCurrent != nil && *r.Params.KeepCurrent
	if err := h.service.RevokeAllSessions(ctx, p, keep, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, p, !keep), nil
}
