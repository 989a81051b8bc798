package accounts

import (
	"errors"
	"strings"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/problem"
)

// passwordChecks checks new passwords against the policy, verifies present ones within the rate
// limits, and signs users in.
type passwordChecks struct {
	*core
	userLookup
}

// checkNewPassword checks a new password against the policy, against the user's own data and the
// names of the service, which attackers try first, and against the list of breached passwords (ASVS
// 6.2.12). If the list cannot be read, every new password is rejected with ServiceUnavailable: a
// full disk or a replaced file must not switch the check off unnoticed. Logins are not affected.
// Errors: ValidationFailed, ServiceUnavailable.
func (s passwordChecks) checkNewPassword(password string, u models.User) error {
	if err := s.checkPolicy(password, u); err != nil || s.breached == nil {
		return err
	}
	switch found, err := s.breached.Contains(password); {
	case err != nil:
		return problem.Unavailable(err)
	case found:
		return problem.Invalid("password", credentials.CodeBreached)
	}
	return nil
}

// checkPolicy checks a new password against the policy, the user's own data and the names of the
// service. Errors: ValidationFailed.
func (s passwordChecks) checkPolicy(password string, u models.User) error {
	err := credentials.CheckPolicy(password, s.settings.MinPassword, append(ownWords(u), s.settings.SiteNames...)...)
	var refused *credentials.PolicyError
	if errors.As(err, &refused) {
		return &problem.Error{Code: problem.ValidationFailed, Fields: []problem.FieldFault{{Field: "password", Reason: refused.Code, Minimum: refused.Minimum, Maximum: refused.Maximum}}}
	}
	return err
}

// ownWords returns the names and the address of a user, whole and in parts.
func ownWords(u models.User) []string {
	local, domain, _ := strings.Cut(u.EmailNorm, "@")
	host, _, _ := strings.Cut(domain, ".")
	return []string{
		u.Username, u.UsernameNorm, u.EmailNorm, local, host,
		u.FirstName, u.LastName, u.FirstName + u.LastName, u.FirstName + " " + u.LastName,
	}
}

// onField names another member of the request as the one at fault.
func onField(field string, err error) error {
	var rule *problem.Error
	if !errors.As(err, &rule) || len(rule.Fields) == 0 {
		return err
	}
	on := &problem.Error{Code: rule.Code, Cause: rule.Cause}
	for _, fault := range rule.Fields {
		fault.Field = field
		on.Fields = append(on.Fields, fault)
	}
	return on
}

// isFieldFault reports whether an error names members of the request.
func isFieldFault(err error) bool {
	var rule *problem.Error
	return errors.As(err, &rule) && len(rule.Fields) > 0
}
