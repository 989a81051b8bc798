package server

import (
	"context"

	"github.com/google/uuid"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

const defaultEvents = 50 // as the contract says

func (h handlers) GetProfile(ctx context.Context, _ api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	return api.GetProfile200JSONResponse{User: user(callOf(ctx).principal.User)}, nil
}

func (h handlers) UpdateProfile(ctx context.Context, r api.UpdateProfileRequestObject) (api.UpdateProfileResponseObject, error) {
	call := callOf(ctx)
	u, err := h.Service.UpdateProfile(ctx, call.principal, accounts.ProfileChange{
		Username: r.Body.Username, FirstName: r.Body.FirstName, LastName: r.Body.LastName, Locale: r.Body.Locale,
	}, call.client)
	return api.UpdateProfile200JSONResponse{User: user(u)}, err
}

func (h handlers) DeleteProfile(ctx context.Context, r api.DeleteProfileRequestObject) (api.DeleteProfileResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.DeleteProfile(ctx, call.principal, r.Body.Password, call.client); err != nil {
		return nil, err
	}
	return h.cleared(call.principal, true), nil
}

func (h handlers) ExportProfile(ctx context.Context, _ api.ExportProfileRequestObject) (api.ExportProfileResponseObject, error) {
	p := callOf(ctx).principal
	data, err := h.Service.ExportProfile(ctx, p)
	if err != nil {
		return nil, err
	}
	return api.ExportProfile200JSONResponse(export(data, p.Session.ID)), nil
}

func (h handlers) ListEvents(ctx context.Context, r api.ListEventsRequestObject) (api.ListEventsResponseObject, error) {
	list, next, err := h.Service.ListEvents(ctx, callOf(ctx).principal, or(r.Params.Before, uuid.Nil), int(or(r.Params.Limit, defaultEvents)))
	return api.ListEvents200JSONResponse{Events: events(list), Next: uuidOrNull(next)}, err
}

func (h handlers) ChangeEmail(ctx context.Context, r api.ChangeEmailRequestObject) (api.ChangeEmailResponseObject, error) {
	call := callOf(ctx)
	return api.ChangeEmail202Response{}, h.Service.ChangeEmail(ctx, call.principal, r.Body.Email, r.Body.Password, call.client)
}

func (h handlers) ConfirmEmailChange(ctx context.Context, r api.ConfirmEmailChangeRequestObject) (api.ConfirmEmailChangeResponseObject, error) {
	return api.ConfirmEmailChange200JSONResponse{Status: api.StatusResultStatusOk}, h.Service.ConfirmEmailChange(ctx, r.Body.Token, callOf(ctx).client)
}
