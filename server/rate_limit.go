package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// readRateLimits reads x-rate-limit, the names of the rate limits per client that an operation
// counts against. It returns an error, which stops the server, for a limit that does not exist: the
// operation would only look limited.
func readRateLimits(op *openapi3.Operation) ([]string, error) {
	value, marked := op.Extensions["x-rate-limit"]
	if !marked {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("x-rate-limit %v is not a list of rate limits", value)
	}
	var names []string
	for _, each := range list {
		name, ok := each.(string)
		if !ok || !accounts.IsClientLimit(name) {
			return nil, fmt.Errorf("cannot enforce x-rate-limit %v", each)
		}
		if slices.Contains(names, name) {
			return nil, errors.New("x-rate-limit names a rate limit twice")
		}
		names = append(names, name)
	}
	return names, nil
}

// limitClient enforces the x-rate-limit of the request's operation. It runs immediately before the
// handler, so a request that the contract rejects does not count.
func (s *Server) limitClient(operation api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c *gin.Context, request any) (response any, err error) {
		call := callOf(c)
		if len(call.operation.rateLimits) == 0 {
			return operation(c, request)
		}
		err = s.Service.LimitClient(c, call.operation.rateLimits, call.client, func() error {
			response, err = operation(c, request)
			return err
		})
		return response, err
	}
}
