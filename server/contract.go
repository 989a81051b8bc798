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
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
)

// contract is openapi.yaml prepared for requests: the operations by route, and the documents that
// are served.
type contract struct {
	operations map[string]*operation // by method, space and gin's path; HEAD has the operation of GET
	json, yaml cacheable
	version    string // info.version
}

// operation is an operation of the contract.
type operation struct {
	id       string
	route    *routers.Route
	security security
	maxBody  int                       // bytes; 0 if the operation has no body
	values   map[string]accounts.Value // the members of the body that have a rule beyond the schema, by name

	startsSession bool              // the body chooses the transport of a new session
	rateLimits    []string          // names of accounts' rate limits per client
	deprecation   map[string]string // response headers
}

// pages are the routes of pages for people, which are not in the contract. One that ends in /
// includes all paths below it.
var pages = []string{"/console", "/console/", "/demo", "/demo/", "/docs", "/docs/", "/pages/", "/problems/"}

// isPage reports whether a route is one of the pages.
func isPage(route string) bool {
	return slices.ContainsFunc(pages, func(page string) bool {
		return route == page || strings.HasSuffix(page, "/") && strings.HasPrefix(route, page)
	})
}

func loadContract(cfg config.Config) (*contract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("server: the contract: %w", err)
	}
	k := &contract{operations: map[string]*operation{}, version: doc.Info.Version}
	for path, item := range doc.Paths.Map() {
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

func readOperation(doc *openapi3.T, op *openapi3.Operation) (*operation, error) {
	security, err := readSecurity(doc, op)
	if err != nil {
		return nil, err
	}
	rateLimits, err := readRateLimits(op)
	if err != nil {
		return nil, err
	}
	deprecation, err := readDeprecation(op)
	return &operation{
		id: op.OperationID, security: security, maxBody: bodyLimit(op), values: valuesOf(op),
		startsSession: hasMember(op, "token_transport"), rateLimits: rateLimits, deprecation: deprecation,
	}, err
}

// hasMember reports whether the JSON body of an operation has a member with this name.
func hasMember(op *openapi3.Operation, name string) bool {
	return op.RequestBody != nil && op.RequestBody.Value.Content["application/json"].Schema.Value.Properties[name] != nil
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

// matches compares the routes with the operations. It returns an error, which stops the server, if
// either side has one that the other does not.
func (k *contract) matches(routes gin.RoutesInfo) error {
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

func (s *Server) findOperation(c *gin.Context) {
	if !spelledOut(c.FullPath(), c.Request.URL.EscapedPath()) {
		s.problem(c, problemOf(codeResourceNotFound))
		return
	}
	operation := s.contract.operations[c.Request.Method+" "+c.FullPath()]
	callOf(c).operation = operation
	for name, value := range operation.deprecation {
		c.Header(name, value)
	}
	joinLines(c.Request.Header, "If-None-Match")
	c.Next()
}

// joinLines joins the lines of a list header, which may be sent as several lines (RFC 9110, section
// 5.3). The validator and the generated binding would reject the parameter as duplicate.
func joinLines(h http.Header, name string) {
	if lines := h.Values(name); len(lines) > 1 {
		h.Set(name, strings.Join(lines, ", "))
	}
}

// spelledOut reports whether a path is spelled like its route, without unnecessary escapes. A path
// such as /accounts%2Flogin would be routed to /accounts/login but evade a proxy's rule for that
// path. Only parameters may contain escapes, and no parameter may be empty.
func spelledOut(route, path string) bool {
	want, got := strings.Split(route, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, ":") && g != "" })
}
