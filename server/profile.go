package server

import (
	"context"

	"example.com/accounts/api"
)

func (h handlers) GetProfile(ctx context.Context, _ api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	return api.GetProfile200JSONResponse{User: user(callOf(ctx).principal.User)}, nil
}
