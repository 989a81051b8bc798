package server

import (
	"context"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// registrationHandlers has the handlers for registration and the verification of addresses.
type registrationHandlers struct {
	service *accounts.Service
	cookies cookieNames
}

func (h registrationHandlers) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	err := h.service.Register(ctx, accounts.Registration{
		Email: r.Body.Email, Password: r.Body.Password, Username: textOf(r.Body.Username),
		FirstName: textOf(r.Body.FirstName), LastName: textOf(r.Body.LastName), Locale: textOf(r.Body.Locale), Client: callOf(ctx).client,
	})
	return api.Register202JSONResponse(accepted), err
}

func (h registrationHandlers) VerifyEmail(ctx context.Context, r api.VerifyEmailRequestObject) (api.VerifyEmailResponseObject, error) {
	call := callOf(ctx)
	tokens, u, err := h.service.VerifyEmail(ctx, accounts.VerifyInput{
		Token: r.Body.Token, Password: r.Body.Password, Transport: requestedTransport(r.Body.TokenTransport), Client: call.client,
	})
	if err != nil {
		return nil, err
	}
	return newLoginResponse(h.cookies, call, tokens, u), nil
}

func (h registrationHandlers) ResendVerification(ctx context.Context, r api.ResendVerificationRequestObject) (api.ResendVerificationResponseObject, error) {
	return api.ResendVerification202JSONResponse(accepted), h.service.ResendVerification(ctx, r.Body.Email, callOf(ctx).client)
}
