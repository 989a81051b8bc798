package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"
	"go.yaml.in/yaml/v3"

	"example.com/accounts/api"
	"example.com/accounts/server/config"
)

// contract is openapi.yaml as the server uses it: the operations by route, and the documents that
// it serves.
type contract struct {
	operations map[string]*operation // by method and gin's path, such as "GET /a/:b"; HEAD has the operation of GET
	json, yaml cacheable
	version    string // info.version
}

// loadContract returns the contract of a server with these settings.
func loadContract(cfg config.Config) (*contract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("server: the contract: %w", err)
	}
	k := &contract{operations: map[string]*operation{}, version: doc.Info.Version}
	for path, item := range doc.Paths.Map() {
		if len(item.Parameters) > 0 { // validate checks those of operations only
			return nil, fmt.Errorf("server: the contract: %s has parameters for all its operations", path)
		}
		for method, op := range item.Operations() {
			o, err := readOperation(doc, op)
			if err != nil {
				return nil, fmt.Errorf("server: the contract: %s: %w", op.OperationID, err)
			}
			o.route = &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}
			k.operations[method+" "+ginPath(path)] = o
			if method == http.MethodGet {
				k.operations[http.MethodHead+" "+ginPath(path)] = o
			}
		}
	}
	return k, k.render(doc, cfg)
}

// ginPath converts the path /a/{b} of the contract to gin's /a/:b.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// render builds the documents that are served. They describe this server: its URL, the cookie names
// in use and the minimum length of passwords. Requests are validated against the same document.
func (k *contract) render(doc *openapi3.T, cfg config.Config) error {
	names := newCookieNames(cfg)
	doc.Servers[0].URL = cfg.PublicURL
	doc.Components.SecuritySchemes[schemeAccessCookie].Value.Name = names.access
	doc.Components.SecuritySchemes[schemeRefreshCookie].Value.Name = names.refresh
	doc.Components.Schemas["NewPassword"].Value.MinLength = uint64(cfg.PasswordMinLength)
	asJSON, err := doc.MarshalJSON()
	if err != nil {
		return err
	}
	asYAML, err := toYAML(asJSON)
	k.json, k.yaml = newCacheable("application/json", asJSON), newCacheable("application/yaml", asYAML)
	return err
}

// toYAML converts the contract to YAML. The top-level members are in the customary order, and the
// members below them in alphabetical order.
func toYAML(doc []byte) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(doc, &tree); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, key := range []string{"openapi", "info", "servers", "tags", "security", "paths", "components"} {
		part, err := yaml.Marshal(map[string]any{key: tree[key]})
		if err != nil {
			return nil, err
		}
		text.Write(part)
		delete(tree, key)
	}
	if len(tree) > 0 {
		return nil, fmt.Errorf("server: the contract has top-level members without a place: %v", slices.Sorted(maps.Keys(tree)))
	}
	return text.Bytes(), nil
}

// checkRoutes returns an error, which stops the server, if a route has no operation or an operation
// has no route.
func (k *contract) checkRoutes(routes gin.RoutesInfo) error {
	var faults []error
	seen := map[string]bool{}
	for _, r := range routes {
		if isPage(r.Path) {
			continue
		}
		key := r.Method + " " + r.Path
		seen[key] = true
		if k.operations[key] == nil {
			faults = append(faults, fmt.Errorf("server: the route %s is not in the contract", key))
		}
	}
	for key := range k.operations {
		if !seen[key] {
			faults = append(faults, fmt.Errorf("server: the operation %s of the contract has no route", key))
		}
	}
	return errors.Join(faults...)
}
