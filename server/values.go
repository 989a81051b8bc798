package server

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// valueChecker checks the rules that a schema cannot express.
type valueChecker struct{ service *accounts.Service }

// valueErrors returns the errors of a request that a schema cannot express. It is called only for a
// request that the schema has rejected already, so that the problem lists all errors at once.
// faults are the errors of the schema, and their members are skipped. If the schema accepts a
// request, the operation itself checks these rules.
func (v valueChecker) valueErrors(ctx context.Context, call *call, path map[string]string, faults []api.FieldError) ([]api.FieldError, error) {
	object, _ := call.body.(map[string]any)
	var current map[string]string
	var list []api.FieldError
	for _, name := range slices.Sorted(maps.Keys(call.operation.values)) {
		text, isText := object[name].(string)
		if !isText || slices.ContainsFunc(faults, func(f api.FieldError) bool { return f.Pointer != nil && *f.Pointer == "/"+name }) {
			continue
		}
		found := v.service.CheckValue(call.operation.values[name], text)
		if len(found) > 0 && current == nil {
			var err error
			if current, err = v.currentValues(ctx, call, path); err != nil {
				return nil, err
			}
		}
		if old, has := current[name]; has && old == text {
			continue
		}
		for _, fault := range found {
			list = append(list, faultError([]string{name}, fault))
		}
	}
	return list, nil
}

// currentValues returns the username, the address and the names of the user in the path, or of the
// caller. A PATCH may repeat them unchanged, even if a rule that was added later rejects them. For
// other methods the result is empty.
func (v valueChecker) currentValues(ctx context.Context, call *call, path map[string]string) (map[string]string, error) {
	if call.operation.route.Method != http.MethodPatch {
		return map[string]string{}, nil
	}
	id := call.principal.User.ID
	if text, has := path["user_id"]; has {
		var err error
		if id, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, malformed(err)
		}
	}
	d, err := v.service.GetUser(ctx, id)
	if errors.Is(err, &problem.Error{Code: problem.ResourceNotFound}) { // the errors of the body are reported first
		return map[string]string{}, nil
	}
	u := d.User
	return map[string]string{"username": u.Username, "email": u.Email, "first_name": u.FirstName, "last_name": u.LastName}, err
}
