package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"example.com/accounts/api"
)

func (h handlers) CheckHealth(context.Context, api.CheckHealthRequestObject) (api.CheckHealthResponseObject, error) {
	return api.CheckHealth200JSONResponse{Status: api.HealthStatusOk}, nil
}

var errDraining = errors.New("shutting down")

func (h handlers) CheckReadiness(ctx context.Context, _ api.CheckReadinessRequestObject) (api.CheckReadinessResponseObject, error) {
	if h.draining.Load() {
		return nil, &problem{code: codeServiceUnavailable, cause: errDraining}
	}
	if err := h.Service.Ready(ctx); err != nil {
		return nil, err
	}
	return api.CheckReadiness200JSONResponse{Status: api.HealthStatusOk}, nil
}

func (h handlers) GetSettings(context.Context, api.GetSettingsRequestObject) (api.GetSettingsResponseObject, error) {
	return nil, errNotBuilt
}

func (h handlers) ListProblems(_ context.Context, r api.ListProblemsRequestObject) (api.ListProblemsResponseObject, error) {
	return api.ListProblems200JSONResponse(problemCatalog(orEmpty(r.Params.Locale))), nil
}

var errNotBuilt = errors.New("not built")

func (h handlers) GetSigningKeys(context.Context, api.GetSigningKeysRequestObject) (api.GetSigningKeysResponseObject, error) {
	return signingKeys(jwks(h.Service.JWKS())), nil
}

// signingKeys is a 200 that verifiers may cache.
type signingKeys api.JwkSet

func (k signingKeys) VisitGetSigningKeysResponse(w http.ResponseWriter) error {
	w.Header().Set("Cache-Control", "public, max-age=300")
	return api.GetSigningKeys200JSONResponse(k).VisitGetSigningKeysResponse(w)
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
