package accounts

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/problem"
)

func TestJoinReportsAllFieldErrors(t *testing.T) {
	username, email := problem.FieldFault{Field: "username", Reason: "format_invalid"}, problem.FieldFault{Field: "email", Reason: "taken"}
	stored := problem.Unavailable(errors.New("the disk is full"))
	for name, c := range map[string]struct {
		errs   []error
		code   problem.Code
		fields []problem.FieldFault
	}{
		"none":                             {[]error{nil, nil}, "", nil},
		"one":                              {[]error{nil, problem.Invalid("username", "format_invalid")}, problem.ValidationFailed, []problem.FieldFault{username}},
		"two conflicts":                    {[]error{problem.UsernameConflict(), problem.EmailConflict()}, problem.UsernameTaken, []problem.FieldFault{{Field: "username", Reason: "taken"}, email}},
		"a conflict before a rule":         {[]error{problem.EmailConflict(), problem.Invalid("username", "format_invalid")}, problem.ValidationFailed, []problem.FieldFault{email, username}},
		"a rule before a conflict":         {[]error{problem.Invalid("username", "format_invalid"), problem.EmailConflict()}, problem.ValidationFailed, []problem.FieldFault{username, email}},
		"an error without a member":        {[]error{problem.Invalid("username", "format_invalid"), problem.New(problem.RoleRequired)}, problem.RoleRequired, nil},
		"a failure of the server, at last": {[]error{problem.Invalid("username", "format_invalid"), stored}, problem.ServiceUnavailable, nil},
	} {
		err := problem.Join(c.errs...)
		var rule *problem.Error
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &rule) || rule.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			continue
		}
		if diff := cmp.Diff(c.fields, rule.Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
