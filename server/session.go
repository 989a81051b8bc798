package server

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

func (h handlers) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.Service.Login(ctx, accounts.LoginInput{
		Name: r.Body.Username, Password: r.Body.Password, Transport: requestedTransport(r.Body.TokenTransport), Client: call.client,
	})
	if err != nil {
		return nil, err
	}
	return h.newLoginResponse(call, tokens, u), nil
}

// requestedTransport returns the transport that the body of a login requests. The default is hybrid.
func requestedTransport(wanted *api.TokenTransport) accounts.Transport {
	if wanted == nil {
		return accounts.Hybrid
	}
	return accounts.Transport(*wanted)
}

// checkTransport rejects a login by a page of another site that requests cookies. The browser would
// accept the cookies but never send them back. An error now is clearer than failing requests later.
func (c *call) checkTransport() error {
	object, _ := c.body.(map[string]any)
	if c.crossSite && c.operation.startsSession && object["token_transport"] != string(accounts.BodyTokens) {
		return problemOf(codeTransportUnusable)
	}
	return nil
}

// newLoginResponse returns the response of a login and of the other operations that sign a user in.
func (h handlers) newLoginResponse(call *call, tokens accounts.Tokens, u models.User) loginResponse {
	call.userID = u.ID
	d := h.cookies.deliver(tokens)
	return loginResponse{login(d.body, u), d.cookies}
}

func (h handlers) RefreshToken(ctx context.Context, r api.RefreshTokenRequestObject) (api.RefreshTokenResponseObject, error) {
	call := callOf(ctx)
	in := accounts.RefreshInput{Credential: call.credential, Client: call.client, Received: call.received}
	if r.Params.RefreshAttempt != nil {
		in.Attempt = *r.Params.RefreshAttempt
	}
	tokens, err := h.Service.RefreshToken(ctx, in)
	if err != nil {
		return nil, err
	}
	d := h.cookies.deliver(tokens)
	return refreshResponse{api.RefreshToken200JSONResponse(d.body), d.cookies}, nil
}

func (h handlers) Logout(ctx context.Context, _ api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	call := callOf(ctx)
	credential := call.credential
	if err := h.Service.Logout(ctx, credential, call.client); err != nil {
		return nil, err
	}
	return endedResponse{h.cookies.clear(transportOf(credential))}, nil
}

// transportOf returns the transport whose cookies a logout clears: body, which has none, for a
// token in the body, and a cookie transport for every other credential.
func transportOf(c accounts.Credential) accounts.Transport {
	if c.Location == accounts.Body {
		return accounts.BodyTokens
	}
	return accounts.Cookies
}

func (h handlers) GetSession(ctx context.Context, _ api.GetSessionRequestObject) (api.GetSessionResponseObject, error) {
	call := callOf(ctx)
	signedOut := api.GetSession200JSONResponse{Session: nullable.NewNullNullable[api.CurrentSession](), CsrfToken: textOrNull("")}
	if !call.authenticated {
		return signedOut, nil
	}
	current, err := h.Service.GetSession(ctx, call.credential)
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

func (h handlers) Reauthenticate(ctx context.Context, r api.ReauthenticateRequestObject) (api.ReauthenticateResponseObject, error) {
	call := callOf(ctx)
	life, err := h.Service.Reauthenticate(ctx, call.principal, textOf(r.Body.Password), call.client)
	return api.Reauthenticate200JSONResponse{ExpiresIn: int(life.Seconds())}, err
}

func (h handlers) ListSessions(ctx context.Context, r api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	p := callOf(ctx).principal
	list, err := h.Service.ListSessions(ctx, p)
	if err != nil {
		return nil, err
	}
	page, err := pageOfSessions(list, p.Session.ID, r.Params.Cursor, r.Params.Limit)
	return api.ListSessions200JSONResponse(page), err
}

// pageOfSessions returns the page after the cursor of a list of sessions, which is ordered from new
// to old. The cursor stays valid if its session has ended since, because ids grow with time.
func pageOfSessions(list []models.Session, current uuid.UUID, cursor *api.Cursor, limit *api.Limit) (api.SessionList, error) {
	after, err := idIn(cursor)
	if err != nil {
		return api.SessionList{}, err
	}
	if after != uuid.Nil {
		list = slices.DeleteFunc(list, func(s models.Session) bool { return bytes.Compare(s.ID[:], after[:]) >= 0 })
	}
	var next uuid.UUID
	if n := valueOr(limit, defaultLimit); len(list) > n {
		list = list[:n]
		next = list[n-1].ID
	}
	return api.SessionList{Sessions: sessions(list, current), NextCursor: cursorOfID(next)}, nil
}

func (h handlers) RevokeSession(ctx context.Context, r api.RevokeSessionRequestObject) (api.RevokeSessionResponseObject, error) {
	call := callOf(ctx)
	p := call.principal
	if err := h.Service.RevokeSession(ctx, p, r.SessionID, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(p, p.Session.ID == r.SessionID), nil
}

func (h handlers) RevokeAllSessions(ctx context.Context, r api.RevokeAllSessionsRequestObject) (api.RevokeAllSessionsResponseObject, error) {
	call := callOf(ctx)
	p := call.principal
	keep := r.Params.KeepCurrent != nil && *r.Params.KeepCurrent
	if err := h.Service.RevokeAllSessions(ctx, p, keep, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(p, !keep), nil
}

// newEndedResponse returns a response that clears the caller's cookies if the caller's own session has
// ended.
func (h handlers) newEndedResponse(p accounts.Principal, own bool) endedResponse {
	if !own {
		return endedResponse{}
	}
	return endedResponse{h.cookies.clear(p.Transport())}
}

// The types below are the generated responses with cookies. OpenAPI cannot declare two Set-Cookie
// lines.

type loginResponse struct {
	body    api.SignedIn
	cookies []*http.Cookie
}

func (a loginResponse) VisitLoginResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return api.Login200JSONResponse(a.body).VisitLoginResponse(w)
}

func (a loginResponse) VisitVerifyEmailResponse(w http.ResponseWriter) error {
	return a.VisitLoginResponse(w)
}

func (a loginResponse) VisitChangePasswordResponse(w http.ResponseWriter) error {
	return a.VisitLoginResponse(w)
}

type refreshResponse struct {
	api.RefreshToken200JSONResponse
	cookies []*http.Cookie
}

func (a refreshResponse) VisitRefreshTokenResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return a.RefreshToken200JSONResponse.VisitRefreshTokenResponse(w)
}

// endedResponse is a 204 response that expires cookies.
type endedResponse struct{ cookies []*http.Cookie }

func (a endedResponse) VisitLogoutResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return api.Logout204Response{}.VisitLogoutResponse(w)
}

func (a endedResponse) VisitDeleteAccountResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

func (a endedResponse) VisitRevokeSessionResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return api.RevokeSession204Response{}.VisitRevokeSessionResponse(w)
}

func (a endedResponse) VisitRevokeAllSessionsResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return api.RevokeAllSessions204Response{}.VisitRevokeAllSessionsResponse(w)
}
