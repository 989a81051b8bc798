package server

import (
	"context"

	"example.com/accounts/api"
)

func (h handlers) ChangePassword(ctx context.Context, r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.Service.ChangePassword(ctx, call.principal, textOf(r.Body.CurrentPassword), r.Body.NewPassword, call.client)
	if err != nil {
		return nil, err
	}
	return h.newLoginResponse(call, tokens, u), nil
}

func (h handlers) RequestPasswordReset(ctx context.Context, r api.RequestPasswordResetRequestObject) (api.RequestPasswordResetResponseObject, error) {
	return api.RequestPasswordReset202JSONResponse(accepted), h.Service.RequestPasswordReset(ctx, r.Body.Email, callOf(ctx).client)
}

func (h handlers) ConfirmPasswordReset(ctx context.Context, r api.ConfirmPasswordResetRequestObject) (api.ConfirmPasswordResetResponseObject, error) {
	err := h.Service.ConfirmPasswordReset(ctx, r.Body.Token, r.Body.NewPassword, callOf(ctx).client)
	return api.ConfirmPasswordReset204Response{}, err
}
