package accounts

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAllFaults(t *testing.T) {
	username, email := FieldFault{Field: "username", Reason: "format_invalid"}, FieldFault{Field: "email", Reason: "taken"}
	stored := unavailable(errors.New("the disk is full"))
	for name, c := range map[string]struct {
		errs   []error
		code   Code
		fields []FieldFault
	}{
		"none":                             {[]error{nil, nil}, "", nil},
		"one":                              {[]error{nil, invalid("username", "format_invalid")}, ValidationFailed, []FieldFault{username}},
		"two conflicts":                    {[]error{usernameConflict(), emailConflict()}, UsernameTaken, []FieldFault{{Field: "username", Reason: "taken"}, email}},
		"a conflict before a rule":         {[]error{emailConflict(), invalid("username", "format_invalid")}, ValidationFailed, []FieldFault{email, username}},
		"a rule before a conflict":         {[]error{invalid("username", "format_invalid"), emailConflict()}, ValidationFailed, []FieldFault{username, email}},
		"an error without a member":        {[]error{invalid("username", "format_invalid"), refuse(RoleRequired)}, RoleRequired, nil},
		"a failure of the server, at last": {[]error{invalid("username", "format_invalid"), stored}, ServiceUnavailable, nil},
	} {
		err := allFaults(c.errs...)
		var rule *Error
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
