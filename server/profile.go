package server

import (
	"context"
	"time"

	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

func (h handlers) GetProfile(ctx context.Context, _ api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	d, err := h.Service.GetProfile(ctx, callOf(ctx).principal)
	return api.GetProfile200JSONResponse{User: profile(d)}, err
}

func (h handlers) UpdateProfile(ctx context.Context, r api.UpdateProfileRequestObject) (api.UpdateProfileResponseObject, error) {
	call := callOf(ctx)
	d, err := h.Service.UpdateProfile(ctx, call.principal, accounts.ProfileChange{
		Username: r.Body.Username, FirstName: r.Body.FirstName, LastName: r.Body.LastName, Locale: orCleared(r.Body.Locale),
	}, call.client)
	return api.UpdateProfile200JSONResponse{User: profile(d)}, err
}

func (h handlers) DeleteAccount(ctx context.Context, _ api.DeleteAccountRequestObject) (api.DeleteAccountResponseObject, error) {
	call := callOf(ctx)
	if err := h.Service.DeleteAccount(ctx, call.principal, call.client); err != nil {
		return nil, err
	}
	return h.newEndedResponse(call.principal, true), nil
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
	q, err := eventQuery(r.Params.Kind, r.Params.CreatedFrom, r.Params.CreatedBefore, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	list, next, err := h.Service.ListEvents(ctx, callOf(ctx).principal, q)
	return api.ListEvents200JSONResponse{Events: events(list, ownEvent), NextCursor: cursorOfID(next)}, err
}

// eventQuery converts the filters that both lists of events accept.
func eventQuery(kinds *api.EventKindQuery, from, before *time.Time, cursor *api.Cursor, limit *api.Limit) (models.EventQuery, error) {
	at, err := idIn(cursor)
	q := models.EventQuery{From: from, Until: before, Before: at, Limit: valueOr(limit, defaultLimit)}
	for _, kind := range valueOr(kinds, nil) {
		q.Kinds = append(q.Kinds, string(kind))
	}
	return q, err
}

func (h handlers) ChangeEmail(ctx context.Context, r api.ChangeEmailRequestObject) (api.ChangeEmailResponseObject, error) {
	call := callOf(ctx)
	return api.ChangeEmail202JSONResponse(accepted), h.Service.ChangeEmail(ctx, call.principal, r.Body.Email, call.client)
}

func (h handlers) CancelEmailChange(ctx context.Context, _ api.CancelEmailChangeRequestObject) (api.CancelEmailChangeResponseObject, error) {
	call := callOf(ctx)
	return api.CancelEmailChange204Response{}, h.Service.CancelEmailChange(ctx, call.principal, call.client)
}

func (h handlers) ResendEmailChange(ctx context.Context, _ api.ResendEmailChangeRequestObject) (api.ResendEmailChangeResponseObject, error) {
	call := callOf(ctx)
	return api.ResendEmailChange202JSONResponse(accepted), h.Service.ResendEmailChange(ctx, call.principal, call.client)
}

func (h handlers) ConfirmEmailChange(ctx context.Context, r api.ConfirmEmailChangeRequestObject) (api.ConfirmEmailChangeResponseObject, error) {
	return api.ConfirmEmailChange204Response{}, h.Service.ConfirmEmailChange(ctx, r.Body.Token, textOf(r.Body.Password), callOf(ctx).client)
}

// accepted is the body of every 202 response.
var accepted = api.Accepted{Status: api.AcceptedStatusAccepted}

// orCleared returns the value of a member that null clears: nil if the member is absent, and an
// empty string if it is null.
func orCleared(member nullable.Nullable[string]) *string {
	if !member.IsSpecified() {
		return nil
	}
	value, err := member.Get()
	if err != nil { // null
		value = ""
	}
	return &value
}
