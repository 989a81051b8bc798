package server

import (
	"context"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// passwordHandlers has the handlers for passwords.
type passwordHandlers struct {
	service *accounts.Service
	cookies cookieNames
}

func (h passwordHandlers) ChangePassword(ctx context.Context, r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.service.ChangePassword(ctx, call.principal, textOf(r.Body.CurrentPassword), r.Body.NewPassword, call.client)
	if err != nil {
		return nil, err
	}
	return newLoginResponse(h.cookies, call, tokens, u), nil
}

func (h passwordHandlers) RequestPasswordReset(ctx context.Context, r api.RequestPasswordResetRequestObject) (api.RequestPasswordResetResponseObject, error) {
	return api.RequestPasswordReset202JSONResponse(accepted), h.service.RequestPasswordReset(ctx, r.Body.Email, callOf(ctx).client)
}

func (h passwordHandlers) ConfirmPasswordReset(ctx context.Context, r api.ConfirmPasswordResetRequestObject) (api.ConfirmPasswordResetResponseObject, error) {
	err := h.service.ConfirmPasswordReset(ctx, r.Body.Token, r.Body.NewPassword, callOf(ctx).client)
	return api.ConfirmPasswordReset204Response{}, err
}
