package server

import (
	"context"
	"strings"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// adminHandlers has the handlers for user administration by staff members.
type adminHandlers struct {
	service *accounts.Service
	cookies cookieNames
}

func (h adminHandlers) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
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
		place, err := decodeUserCursor(*in.Cursor, filter)
		if err != nil {
			return nil, err
		}
		filter.After = &place
	}
	list, next, err := h.service.ListUsers(ctx, filter)
	if err != nil {
		return nil, err
	}
	return api.ListUsers200JSONResponse{Users: users(list), NextCursor: encodeUserCursor(next, filter)}, nil
}

func (h adminHandlers) InviteUser(ctx context.Context, r api.InviteUserRequestObject) (api.InviteUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.service.InviteUser(ctx, call.principal, accounts.Invitation{
		Email: in.Email, Username: valueOr(in.Username, ""), FirstName: valueOr(in.FirstName, ""), LastName: valueOr(in.LastName, ""), Locale: valueOr(in.Locale, ""),
		IsStaff: valueOr(in.IsStaff, false), IsSuperuser: valueOr(in.IsSuperuser, false),
	}, call.client)
	if err != nil {
		return nil, err
	}
	return invitedUserResponse(adminUser(u)), nil
}

func (h adminHandlers) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	u, err := h.service.GetUser(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return userResponse(adminUser(u)), nil
}

func (h adminHandlers) UpdateUser(ctx context.Context, r api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.service.UpdateUser(ctx, call.principal, r.UserID, accounts.UserChange{
		ProfileChange: accounts.ProfileChange{
			Username: in.Username, FirstName: in.FirstName, LastName: in.LastName, Locale: patchText(in.Locale),
		},
		Email: in.Email, IsActive: in.IsActive, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser, IfVersion: versionMatcher(r.Params.IfMatch),
	}, call.client)
	if err != nil {
		return nil, err
	}
	// An administrator who deactivates their own account has ended their own session.
	ended := newEndedResponse(h.cookies, call.principal, isCaller(call, r.UserID) && !u.User.IsActive)
	return updatedUserResponse{api.UpdateUser200JSONResponse(adminUser(u)), ended.cookies}, nil
}

func (h adminHandlers) DeleteUser(ctx context.Context, r api.DeleteUserRequestObject) (api.DeleteUserResponseObject, error) {
	call := callOf(ctx)
	if err := h.service.DeleteUser(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, call.principal, isCaller(call, r.UserID)), nil
}

func (h adminHandlers) RequestUserPasswordReset(ctx context.Context, r api.RequestUserPasswordResetRequestObject) (api.RequestUserPasswordResetResponseObject, error) {
	call := callOf(ctx)
	return api.RequestUserPasswordReset202JSONResponse(accepted), h.service.RequestUserPasswordReset(ctx, call.principal, r.UserID, call.client)
}

func (h adminHandlers) ResetUserLoginLimit(ctx context.Context, r api.ResetUserLoginLimitRequestObject) (api.ResetUserLoginLimitResponseObject, error) {
	call := callOf(ctx)
	return api.ResetUserLoginLimit204Response{}, h.service.ResetUserLoginLimit(ctx, call.principal, r.UserID, call.client)
}

func (h adminHandlers) ListUserSessions(ctx context.Context, r api.ListUserSessionsRequestObject) (api.ListUserSessionsResponseObject, error) {
	list, err := h.service.ListUserSessions(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	page, err := pageOfSessions(list, callOf(ctx).principal.Session.ID, r.Params.Cursor, r.Params.Limit)
	return api.ListUserSessions200JSONResponse(page), err
}

func (h adminHandlers) RevokeAllUserSessions(ctx context.Context, r api.RevokeAllUserSessionsRequestObject) (api.RevokeAllUserSessionsResponseObject, error) {
	call := callOf(ctx)
	if err := h.service.RevokeAllUserSessions(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, call.principal, isCaller(call, r.UserID)), nil
}

func (h adminHandlers) RevokeUserSession(ctx context.Context, r api.RevokeUserSessionRequestObject) (api.RevokeUserSessionResponseObject, error) {
	call := callOf(ctx)
	if err := h.service.RevokeUserSession(ctx, call.principal, r.UserID, r.SessionID, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, call.principal, call.principal.Session.ID == r.SessionID), nil
}

func (h adminHandlers) ListAllEvents(ctx context.Context, r api.ListAllEventsRequestObject) (api.ListAllEventsResponseObject, error) {
	in := r.Params
	q, err := eventQuery(in.Kind, in.CreatedFrom, in.CreatedBefore, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	q.UserID, q.ActorID = in.UserID, in.ActorID
	list, next, err := h.service.ListAllEvents(ctx, q)
	return api.ListAllEvents200JSONResponse{Events: events(list, event), NextCursor: encodeIDCursor(next)}, err
}

// isCaller reports whether the caller is the user with this id.
func isCaller(call *call, id int64) bool { return call.principal.User.ID == id }
