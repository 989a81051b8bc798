package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/problem"
)

// systemHandlers has the handlers for the server itself.
type systemHandlers struct {
	service  *accounts.Service
	settings cacheable
	catalogs map[string]cacheable // by language
	contract *contract
	draining *atomic.Bool
}

func (h systemHandlers) CheckHealth(context.Context, api.CheckHealthRequestObject) (api.CheckHealthResponseObject, error) {
	return api.CheckHealth200JSONResponse{Status: api.HealthStatusOk}, nil
}

var errDraining = errors.New("shutting down")

func (h systemHandlers) CheckReadiness(ctx context.Context, _ api.CheckReadinessRequestObject) (api.CheckReadinessResponseObject, error) {
	if h.draining.Load() {
		return nil, &problemResponse{code: problem.ServiceUnavailable, cause: errDraining}
	}
	if err := h.service.CheckReadiness(ctx); err != nil {
		return nil, err
	}
	return api.CheckReadiness200JSONResponse{Status: api.HealthStatusOk}, nil
}

func (h systemHandlers) GetSettings(_ context.Context, r api.GetSettingsRequestObject) (api.GetSettingsResponseObject, error) {
	return h.settings.respond(r.Params.IfNoneMatch), nil
}

// publicSettings renders the response of GetSettings, which does not change while the server runs.
func publicSettings(cfg config.Config, contractVersion string) (cacheable, error) {
	settings := api.Settings{
		Registration: api.SettingsRegistration(cfg.Registration), EmailVerification: api.SettingsEmailVerification(cfg.EmailVerification),
		Password: api.PasswordSettings{
			MinLength: cfg.PasswordMinLength, MaxLength: accounts.MaxPasswordLength, MaxBytes: accounts.MaxPasswordBytes,
		},
		Locales: accounts.Locales(), TokenTransports: transports(),
		RecentAuthenticationSeconds: int(accounts.RecentAuthentication.Seconds()), ContractVersion: contractVersion,
	}
	body, err := json.Marshal(api.SettingsResult{Settings: settings})
	return newCacheable("application/json", body), err
}

func transports() (list []api.TokenTransport) {
	for _, t := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld, accounts.BodyTokens} {
		list = append(list, api.TokenTransport(t))
	}
	return list
}

func (h systemHandlers) ListProblems(_ context.Context, r api.ListProblemsRequestObject) (api.ListProblemsResponseObject, error) {
	return h.catalogs[accounts.Language(textOf(r.Params.Locale))].respond(r.Params.IfNoneMatch), nil
}

func (h systemHandlers) GetSigningKeys(context.Context, api.GetSigningKeysRequestObject) (api.GetSigningKeysResponseObject, error) {
	return signingKeysResponse(jwks(h.service.GetSigningKeys())), nil
}

// signingKeysResponse is a 200 response that verifiers may cache.
type signingKeysResponse api.JwkSet

func (k signingKeysResponse) VisitGetSigningKeysResponse(w http.ResponseWriter) error {
	w.Header().Set("Cache-Control", "public, max-age=300")
	return api.GetSigningKeys200JSONResponse(k).VisitGetSigningKeysResponse(w)
}

func (h systemHandlers) GetOpenapiJSON(_ context.Context, r api.GetOpenapiJSONRequestObject) (api.GetOpenapiJSONResponseObject, error) {
	return h.contract.json.respond(r.Params.IfNoneMatch), nil
}

func (h systemHandlers) GetOpenapiYaml(_ context.Context, r api.GetOpenapiYamlRequestObject) (api.GetOpenapiYamlResponseObject, error) {
	return h.contract.yaml.respond(r.Params.IfNoneMatch), nil
}
