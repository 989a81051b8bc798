package server

import (
	"context"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

func (h handlers) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	err := h.Service.Register(ctx, accounts.Registration{
		Email: r.Body.Email, Password: r.Body.Password, Username: textOf(r.Body.Username),
		FirstName: textOf(r.Body.FirstName), LastName: textOf(r.Body.LastName), Locale: textOf(r.Body.Locale), Client: callOf(ctx).client,
	})
	return api.Register202JSONResponse(accepted), err
}

func (h handlers) VerifyEmail(ctx context.Context, r api.VerifyEmailRequestObject) (api.VerifyEmailResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.Service.VerifyEmail(ctx, accounts.VerifyInput{
		Token: r.Body.Token, Password: r.Body.Password, Transport: requestedTransport(r.Body.TokenTransport), Client: call.client,
	})
	if err != nil {
		return nil, err
	}
	return h.newLoginResponse(call, tokens, u), nil
}

func (h handlers) ResendVerification(ctx context.Context, r api.ResendVerificationRequestObject) (api.ResendVerificationResponseObject, error) {
	return api.ResendVerification202JSONResponse(accepted), h.Service.ResendVerification(ctx, r.Body.Email, callOf(ctx).client)
}
