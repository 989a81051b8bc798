package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

func (h handlers) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	in := r.Params
	filter := accounts.UserFilter{
		Text: valueOr(in.Q, ""), Username: in.Username, Email: in.Email, IsActive: in.IsActive, EmailVerified: in.EmailVerified,
		Sort: string(api.UserSortID), Limit: valueOr(in.Limit, defaultLimit),
	}
	for _, role := range valueOr(in.Role, nil) {
		filter.Roles = append(filter.Roles, string(role))
	}
	if in.Sort != nil {
		filter.Sort, filter.Descending = strings.CutPrefix(string(*in.Sort), "-")
	}
	if in.Cursor != nil {
		place, err := placeIn(*in.Cursor, filter)
		if err != nil {
			return nil, err
		}
		filter.After = &place
	}
	list, next, err := h.Service.ListUsers(ctx, filter)
	if err != nil {
		return nil, err
	}
	return api.ListUsers200JSONResponse{Users: users(list), NextCursor: cursorOf(next, filter)}, nil
}

func (h handlers) InviteUser(ctx context.Context, r api.InviteUserRequestObject) (api.InviteUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.Service.InviteUser(ctx, call.principal, accounts.Invitation{
		Email: in.Email, Username: valueOr(in.Username, ""), FirstName: valueOr(in.FirstName, ""), LastName: valueOr(in.LastName, ""), Locale: valueOr(in.Locale, ""),
		IsStaff: valueOr(in.IsStaff, false), IsSuperuser: valueOr(in.IsSuperuser, false),
	}, call.client)
	if err != nil {
		return nil, err
	}
	return invitedUser(adminUser(u)), nil
}

func (h handlers) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	u, err := h.Service.GetUser(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return readUser(adminUser(u)), nil
}

func (h handlers) UpdateUser(ctx context.Context, r api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.Service.UpdateUser(ctx, call.principal, r.UserID, accounts.UserChange{
		Email: in.Email, Username: in.Username, FirstName: in.FirstName, LastName: in.LastName, Locale: orCleared(in.Locale),
		IsActive: in.IsActive, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser, IfVersion: versionsIn(r.Params.IfMatch),
	}, call.client)
	if err != nil {
		return nil, err
	}
	// An administrator who deactivates their own account has ended their own session.
	ended := h.newEndedResponse(call.principal, isOwn(call, r.UserID) && !u.User.IsActive)
	return updatedUser{api.UpdateUser200JSONResponse(adminUser(u)), ended.cookies}, nil
}

func (h handlers) DeleteUser(ctx context.Context, r api.DeleteUserRequestObject) (api.DeleteUserResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.DeleteUser(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(call.principal, isOwn(call, r.UserID)), nil
}

func (h handlers) RequestUserPasswordReset(ctx context.Context, r api.RequestUserPasswordResetRequestObject) (api.RequestUserPasswordResetResponseObject, error) {
	call := callOf(ctx)
	return api.RequestUserPasswordReset202JSONResponse(accepted), h.Service.RequestUserPasswordReset(ctx, call.principal, r.UserID, call.client)
}

func (h handlers) ResetUserLoginLimit(ctx context.Context, r api.ResetUserLoginLimitRequestObject) (api.ResetUserLoginLimitResponseObject, error) {
	call := callOf(ctx)
	return api.ResetUserLoginLimit204Response{}, h.Service.ResetUserLoginLimit(ctx, call.principal, r.UserID, call.client)
}

func (h handlers) ListUserSessions(ctx context.Context, r api.ListUserSessionsRequestObject) (api.ListUserSessionsResponseObject, error) {
	list, err := h.Service.ListUserSessions(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	page, err := pageOfSessions(list, callOf(ctx).principal.Session.ID, r.Params.Cursor, r.Params.Limit)
	return api.ListUserSessions200JSONResponse(page), err
}

func (h handlers) RevokeAllUserSessions(ctx context.Context, r api.RevokeAllUserSessionsRequestObject) (api.RevokeAllUserSessionsResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.RevokeAllUserSessions(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(call.principal, isOwn(call, r.UserID)), nil
}

func (h handlers) RevokeUserSession(ctx context.Context, r api.RevokeUserSessionRequestObject) (api.RevokeUserSessionResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.RevokeUserSession(ctx, call.principal, r.UserID, r.SessionID, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(call.principal, call.principal.Session.ID == r.SessionID), nil
}

func (h handlers) ListAllEvents(ctx context.Context, r api.ListAllEventsRequestObject) (api.ListAllEventsResponseObject, error) {
	in := r.Params
	q, err := eventQuery(in.Kind, in.CreatedFrom, in.CreatedBefore, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	q.UserID, q.ActorID = in.UserID, in.ActorID
	list, next, err := h.Service.ListAllEvents(ctx, q)
	return api.ListAllEvents200JSONResponse{Events: events(list, event), NextCursor: cursorOfID(next)}, err
}

func isOwn(call *call, id int64) bool { return call.principal.User.ID == id }

// readUser is a 200 response with the version of the user as its ETag.
type readUser api.AdminUserResult

func (a readUser) VisitGetUserResponse(w http.ResponseWriter) error {
	w.Header().Set("ETag", etagOf(a.User))
	return api.GetUser200JSONResponse(a).VisitGetUserResponse(w)
}

// invitedUser is a 201 response with the path of the user as its Location and the version as its
// ETag.
type invitedUser api.AdminUserResult

func (a invitedUser) VisitInviteUserResponse(w http.ResponseWriter) error {
	w.Header().Set("Location", "/admin/users/"+strconv.FormatInt(a.User.ID, 10))
	w.Header().Set("ETag", etagOf(a.User))
	return api.InviteUser201JSONResponse(a).VisitInviteUserResponse(w)
}

// etagOf returns the entity tag of a user (RFC 9110, section 8.8.3).
func etagOf(u api.AdminUser) string { return versionTag(u.Version) }

func versionTag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// versionsIn returns a function that reports whether If-Match accepts a version, or nil if the
// request has no If-Match. Unlike RFC 9110, section 13.1.1, it accepts weak tags: a proxy that
// compresses a response makes its tag weak, and the tag still identifies the version.
func versionsIn(ifMatch *api.IfMatch) func(version int64) bool {
	if ifMatch == nil {
		return nil
	}
	return func(version int64) bool { return hasTag(*ifMatch, versionTag(version)) }
}

// updatedUser is a 200 response that may end the caller's own session.
type updatedUser struct {
	api.UpdateUser200JSONResponse
	cookies []*http.Cookie
}

func (a updatedUser) VisitUpdateUserResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	w.Header().Set("ETag", etagOf(a.User))
	return a.UpdateUser200JSONResponse.VisitUpdateUserResponse(w)
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
