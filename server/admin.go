package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

const defaultUsers = 50 // as the contract says

func (h handlers) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	in := r.Params
	query := models.UserQuery{Active: in.IsActive, Staff: in.IsStaff, Verified: in.Verified, Sort: models.SortByID, Limit: int(or(in.Limit, defaultUsers))}
	if in.Sort != nil {
		column, descending := strings.CutPrefix(string(*in.Sort), "-")
		query.Sort, query.Descending = models.UserSort(column), descending
	}
	if in.After != nil {
		place, err := placeIn(*in.After, query)
		if err != nil {
			return nil, err
		}
		query.After = &place
	}
	list, next, err := h.Service.FindUsers(ctx, or(in.Q, ""), query)
	if err != nil {
		return nil, err
	}
	return api.ListUsers200JSONResponse{Users: users(list), Next: cursorOf(next, query)}, nil
}

func (h handlers) CreateUser(ctx context.Context, r api.CreateUserRequestObject) (api.CreateUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.Service.Invite(ctx, call.principal, accounts.Invitation{
		Email: in.Email, Username: or(in.Username, ""), FirstName: or(in.FirstName, ""), LastName: or(in.LastName, ""), Locale: or(in.Locale, ""),
		IsStaff: or(in.IsStaff, false), IsSuperuser: or(in.IsSuperuser, false),
	}, call.client)
	return api.CreateUser201JSONResponse(adminUser(u)), err
}

func (h handlers) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	u, err := h.Service.User(ctx, r.UserID)
	return api.GetUser200JSONResponse(adminUser(u)), err
}

func (h handlers) UpdateUser(ctx context.Context, r api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	call, in := callOf(ctx), r.Body
	u, err := h.Service.UpdateUser(ctx, call.principal, r.UserID, accounts.UserChange{
		Email: in.Email, Username: in.Username, FirstName: in.FirstName, LastName: in.LastName, Locale: in.Locale,
		IsActive: in.IsActive, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser,
	}, call.client)
	if err != nil {
		return nil, err
	}
	// Who deactivates the own account has ended the own session.
	ended := h.cleared(call.principal, isOwn(call, r.UserID) && !u.User.IsActive)
	return updatedUser{api.UpdateUser200JSONResponse(adminUser(u)), ended.cookies}, nil
}

func (h handlers) DeleteUser(ctx context.Context, r api.DeleteUserRequestObject) (api.DeleteUserResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.DeleteUser(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return h.cleared(call.principal, isOwn(call, r.UserID)), nil
}

func (h handlers) SendPasswordReset(ctx context.Context, r api.SendPasswordResetRequestObject) (api.SendPasswordResetResponseObject, error) {
	call := callOf(ctx)
	return api.SendPasswordReset202Response{}, h.Service.SendPasswordReset(ctx, call.principal, r.UserID, call.client)
}

func (h handlers) UnthrottleUser(ctx context.Context, r api.UnthrottleUserRequestObject) (api.UnthrottleUserResponseObject, error) {
	call := callOf(ctx)
	return api.UnthrottleUser204Response{}, h.Service.Unthrottle(ctx, call.principal, r.UserID, call.client)
}

func (h handlers) ListUserSessions(ctx context.Context, r api.ListUserSessionsRequestObject) (api.ListUserSessionsResponseObject, error) {
	list, err := h.Service.ListUserSessions(ctx, r.UserID)
	return api.ListUserSessions200JSONResponse{Sessions: sessions(list, callOf(ctx).principal.Session.ID)}, err
}

func (h handlers) DeleteUserSessions(ctx context.Context, r api.DeleteUserSessionsRequestObject) (api.DeleteUserSessionsResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.EndUserSessions(ctx, call.principal, r.UserID, call.client); err != nil {
		return nil, err
	}
	return h.cleared(call.principal, isOwn(call, r.UserID)), nil
}

func (h handlers) DeleteUserSession(ctx context.Context, r api.DeleteUserSessionRequestObject) (api.DeleteUserSessionResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.EndUserSession(ctx, call.principal, r.UserID, r.SessionID, call.client); err != nil {
		return nil, err
	}
	return h.cleared(call.principal, uuid.UUID(call.principal.Session.ID) == r.SessionID), nil
}

func (h handlers) ListAllEvents(ctx context.Context, r api.ListAllEventsRequestObject) (api.ListAllEventsResponseObject, error) {
	in := r.Params
	list, next, err := h.Service.ListAllEvents(ctx, models.EventQuery{
		UserID: in.UserID, ActorID: in.ActorID, Kind: string(or(in.Kind, "")), Before: models.ID(or(in.Before, uuid.Nil)), Limit: int(or(in.Limit, defaultEvents)),
	})
	return api.ListAllEvents200JSONResponse{Events: adminEvents(list), Next: uuidOrNull(next)}, err
}

func isOwn(call *call, id int64) bool { return call.principal.User.ID == id }

// or is what is wanted, or else the default.
func or[T any](wanted *T, otherwise T) T {
	if wanted != nil {
		return *wanted
	}
	return otherwise
}

// updatedUser is a 200 that may end the caller's own session.
type updatedUser struct {
	api.UpdateUser200JSONResponse
	cookies []*http.Cookie
}

func (a updatedUser) VisitUpdateUserResponse(w http.ResponseWriter) error {
	setCookies(w, a.cookies)
	return a.UpdateUser200JSONResponse.VisitUpdateUserResponse(w)
}

func (a cleared) VisitDeleteUserResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

func (a cleared) VisitDeleteUserSessionsResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}

func (a cleared) VisitDeleteUserSessionResponse(w http.ResponseWriter) error {
	return a.VisitLogoutResponse(w)
}
