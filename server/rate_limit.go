package server

import (
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// clientLimiter counts requests against the rate limits per client.
type clientLimiter struct{ service *accounts.Service }

// limitClient enforces the x-rate-limit of the request's operation. It runs immediately before the
// handler, so a request that the contract rejects does not count.
func (l clientLimiter) limitClient(operation api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c *gin.Context, request any) (response any, err error) {
		call := callOf(c)
		if len(call.operation.rateLimits) == 0 {
			return operation(c, request)
		}
		err = l.service.LimitClient(c, call.operation.rateLimits, call.client, func() error {
			response, err = operation(c, request)
			return err
		})
		return response, err
	}
}
