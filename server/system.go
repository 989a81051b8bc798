package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"example.com/accounts/api"
)

func (h handlers) GetHealthz(context.Context, api.GetHealthzRequestObject) (api.GetHealthzResponseObject, error) {
	return api.GetHealthz200JSONResponse{Status: api.HealthResultStatusOk}, nil
}

var errDraining = errors.New("shutting down")

func (h handlers) GetReadyz(ctx context.Context, _ api.GetReadyzRequestObject) (api.GetReadyzResponseObject, error) {
	if h.draining.Load() {
		return nil, &problem{code: codeUnavailable, cause: errDraining}
	}
	if err := h.Service.Ready(ctx); err != nil {
		return nil, err
	}
	return api.GetReadyz200JSONResponse{Status: api.HealthResultStatusOk}, nil
}

func (h handlers) GetJwks(context.Context, api.GetJwksRequestObject) (api.GetJwksResponseObject, error) {
	maxAge := "public, max-age=300"
	return api.GetJwks200JSONResponse{Body: jwks(h.Service.JWKS()), Headers: api.GetJwks200ResponseHeaders{CacheControl: &maxAge}}, nil
}

func (h handlers) GetOpenapiJSON(context.Context, api.GetOpenapiJSONRequestObject) (api.GetOpenapiJSONResponseObject, error) {
	return document(h.contract.json), nil
}

func (h handlers) GetOpenapiYaml(context.Context, api.GetOpenapiYamlRequestObject) (api.GetOpenapiYamlResponseObject, error) {
	return api.GetOpenapiYaml200ApplicationYamlResponse{Body: bytes.NewReader(h.contract.yaml), ContentLength: int64(len(h.contract.yaml))}, nil
}

// document is the contract as it was rendered at the start, not encoded once more.
type document []byte

func (d document) VisitGetOpenapiJSONResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(d)
	return err
}
