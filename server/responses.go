package server

import (
	"net/http"
	"strconv"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// accepted is the body of every 202 response.
var accepted = api.Accepted{Status: api.AcceptedStatusAccepted}

// The types below add headers to the generated responses: cookies, because OpenAPI cannot declare
// two Set-Cookie lines, and the entity tag of a user.

// loginResponse is a 200 response that signs a user in.
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

// newLoginResponse returns the response of a login and of the other operations that sign a user in.
func newLoginResponse(cookies cookieNames, call *call, tokens accounts.Tokens, u models.User) loginResponse {
	call.userID = u.ID
	d := cookies.deliver(tokens)
	return loginResponse{signedInBody(d.body, u), d.cookies}
}

// refreshResponse is a 200 response with new tokens.
type refreshResponse struct {
	api.RefreshToken200JSONResponse
	cookies []*http.Cookie
}

func (a refreshResponse) VisitRefreshTokenResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return a.RefreshToken200JSONResponse.VisitRefreshTokenResponse(w)
}

// endedResponse is a 204 response that deletes cookies. It deletes none if the caller's own session
// continues.
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

func (a endedResponse) VisitDeleteUserResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

func (a endedResponse) VisitRevokeAllUserSessionsResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

func (a endedResponse) VisitRevokeUserSessionResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

// newEndedResponse returns a response that deletes the caller's cookies if own is set, which means
// that the caller's own session has ended.
func newEndedResponse(cookies cookieNames, p accounts.Principal, own bool) endedResponse {
	if !own {
		return endedResponse{}
	}
	return endedResponse{cookies.clear(p.Transport())}
}

// userResponse is a 200 response with the version of the user as its ETag.
type userResponse api.AdminUserResult

func (a userResponse) VisitGetUserResponse(w http.ResponseWriter) error {
	w.Header().Set("ETag", etagOf(a.User))
	return api.GetUser200JSONResponse(a).VisitGetUserResponse(w)
}

// invitedUserResponse is a 201 response with the path of the user as its Location and the version
// as its ETag.
type invitedUserResponse api.AdminUserResult

func (a invitedUserResponse) VisitInviteUserResponse(w http.ResponseWriter) error {
	w.Header().Set("Location", "/admin/users/"+strconv.FormatInt(a.User.ID, 10))
	w.Header().Set("ETag", etagOf(a.User))
	return api.InviteUser201JSONResponse(a).VisitInviteUserResponse(w)
}

// updatedUserResponse is a 200 response with the version of the user as its ETag. It deletes the
// caller's cookies if the change has ended the caller's own session.
type updatedUserResponse struct {
	api.UpdateUser200JSONResponse
	cookies []*http.Cookie
}

func (a updatedUserResponse) VisitUpdateUserResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	w.Header().Set("ETag", etagOf(a.User))
	return a.UpdateUser200JSONResponse.VisitUpdateUserResponse(w)
}

// etagOf returns the entity tag of a user (RFC 9110, section 8.8.3).
func etagOf(u api.AdminUser) string { return versionTag(u.Version) }

func versionTag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// versionMatcher returns a function that reports whether If-Match accepts a version, or nil if the
// request has no If-Match. Unlike RFC 9110, section 13.1.1, it accepts weak tags: a proxy that
// compresses a response makes its tag weak, and the tag still identifies the version.
func versionMatcher(ifMatch *api.IfMatch) func(version int64) bool {
	if ifMatch == nil {
		return nil
	}
	return func(version int64) bool { return hasTag(*ifMatch, versionTag(version)) }
}
