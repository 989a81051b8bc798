package server

import (
	"context"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// profileHandlers has the handlers for the user's own account.
type profileHandlers struct {
	service *accounts.Service
	cookies cookieNames
}

func (h profileHandlers) GetProfile(ctx context.Context, _ api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	d, err := h.service.GetProfile(ctx, callOf(ctx).principal)
	return api.GetProfile200JSONResponse{User: profile(d)}, err
}

func (h profileHandlers) UpdateProfile(ctx context.Context, r api.UpdateProfileRequestObject) (api.UpdateProfileResponseObject, error) {
	call := callOf(ctx)
	d, err := h.service.UpdateProfile(ctx, call.principal, accounts.ProfileChange{
		Username: r.Body.Username, FirstName: r.Body.FirstName, LastName: r.Body.LastName, Locale: patchText(r.Body.Locale),
	}, call.client)
	return api.UpdateProfile200JSONResponse{User: profile(d)}, err
}

func (h profileHandlers) DeleteAccount(ctx context.Context, _ api.DeleteAccountRequestObject) (api.DeleteAccountResponseObject, error) {
	call := callOf(ctx)
	if err := h.service.DeleteAccount(ctx, call.principal, call.client); err != nil {
		return nil, err
	}
	return newEndedResponse(h.cookies, call.principal, true), nil
}

func (h profileHandlers) ExportProfile(ctx context.Context, _ api.ExportProfileRequestObject) (api.ExportProfileResponseObject, error) {
	p := callOf(ctx).principal
	data, err := h.service.ExportProfile(ctx, p)
	if err != nil {
		return nil, err
	}
	return api.ExportProfile200JSONResponse(ProfileExport(data, p.Session.ID)), nil
}

func (h profileHandlers) ListEvents(ctx context.Context, r api.ListEventsRequestObject) (api.ListEventsResponseObject, error) {
	q, err := eventQuery(r.Params.Kind, r.Params.CreatedFrom, r.Params.CreatedBefore, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	list, next, err := h.service.ListEvents(ctx, callOf(ctx).principal, q)
	return api.ListEvents200JSONResponse{Events: events(list, ownEvent), NextCursor: encodeIDCursor(next)}, err
}

func (h profileHandlers) ChangeEmail(ctx context.Context, r api.ChangeEmailRequestObject) (api.ChangeEmailResponseObject, error) {
	call := callOf(ctx)
	return api.ChangeEmail202JSONResponse(accepted), h.service.ChangeEmail(ctx, call.principal, r.Body.Email, call.client)
}

func (h profileHandlers) CancelEmailChange(ctx context.Context, _ api.CancelEmailChangeRequestObject) (api.CancelEmailChangeResponseObject, error) {
	call := callOf(ctx)
	return api.CancelEmailChange204Response{}, h.service.CancelEmailChange(ctx, call.principal, call.client)
}

func (h profileHandlers) ResendEmailChange(ctx context.Context, _ api.ResendEmailChangeRequestObject) (api.ResendEmailChangeResponseObject, error) {
	call := callOf(ctx)
	return api.ResendEmailChange202JSONResponse(accepted), h.service.ResendEmailChange(ctx, call.principal, call.client)
}

func (h profileHandlers) ConfirmEmailChange(ctx context.Context, r api.ConfirmEmailChangeRequestObject) (api.ConfirmEmailChangeResponseObject, error) {
	return api.ConfirmEmailChange204Response{}, h.service.ConfirmEmailChange(ctx, r.Body.Token, textOf(r.Body.Password), callOf(ctx).client)
}
