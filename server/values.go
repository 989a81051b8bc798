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
// request that its schema has rejected already (faults), so that the problem lists all errors of
// the request at once. It skips members that are in faults. If the schema accepts a request, the
// operation checks these rules itself.
func (v valueChecker) valueErrors(ctx context.Context, call *call, path map[string]string, faults []api.FieldError) ([]api.FieldError, error) {
	object, _ := call.body.(map[string]any)
	var present map[string]string
	var list []api.FieldError
	for _, name := range slices.Sorted(maps.Keys(call.operation.values)) {
		text, isText := object[name].(string)
		if !isText || slices.ContainsFunc(faults, func(f api.FieldError) bool { return f.Pointer != nil && *f.Pointer == "/"+name }) {
			continue
		}
		found := v.service.CheckValue(call.operation.values[name], text)
		if len(found) > 0 && present == nil {
			var err error
			if present, err = v.presentValues(ctx, call, path); err != nil {
				return nil, err
			}
		}
		if old, has := present[name]; has && old == text {
			continue
		}
		for _, fault := range found {
			list = append(list, faultError([]string{name}, fault))
		}
	}
	return list, nil
}

// presentValues returns the names that a PATCH may repeat unchanged even if a rule was added after
// they were set: those of the user in the path, or of the caller. It is empty for other methods.
func (v valueChecker) presentValues(ctx context.Context, call *call, path map[string]string) (map[string]string, error) {
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
