package accounts

import (
	"example.com/accounts/models"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
)

// normalizeIdentity validates the address, the username and the names of a new user, and sets the
// normalized forms. An empty username is left to [ensureUsername]. Errors: ValidationFailed.
func normalizeIdentity(u *models.User) error {
	var email, username error
	u.EmailNorm, email = parseNewEmail(u.Email)
	if u.Username != "" {
		u.UsernameNorm, username = parseNewUsername(u.Username)
	}
	return problem.Join(email, username, checkPersonNames(&u.FirstName, &u.LastName))
}

// parseNewUsername returns the normalized form of a username that a user wants to use. Errors:
// ValidationFailed.
func parseNewUsername(name string) (string, error) {
	norm, ok := names.ParseNewUsername(name)
	if !ok {
		return "", problem.Invalid("username", "format_invalid")
	}
	return norm, nil
}

// parseNewEmail returns the normalized form of an address that a user wants to use. Errors:
// ValidationFailed.
func parseNewEmail(address string) (string, error) {
	norm, ok := names.ParseNewEmail(address)
	if !ok {
		return "", problem.Invalid("email", "format_invalid")
	}
	return norm, nil
}

// parseEmail returns the normalized form of an address that a user may already have. Errors:
// ValidationFailed.
func parseEmail(address string) (string, error) {
	norm, ok := names.NormalizeEmail(address)
	if !ok {
		return "", problem.Invalid("email", "format_invalid")
	}
	return norm, nil
}

// checkPersonNames validates a first and a last name, unless they are nil. Errors:
// ValidationFailed.
func checkPersonNames(first, last *string) error {
	return problem.Join(checkPersonName("first_name", first), checkPersonName("last_name", last))
}

// ifChanged returns the wanted name, or nil if the user already has it: an existing name may
// predate the rules.
func ifChanged(present string, wanted *string) *string {
	if wanted == nil || *wanted == present {
		return nil
	}
	return wanted
}

func checkPersonName(field string, name *string) error {
	if name != nil && !names.IsPersonName(*name) {
		return problem.Invalid(field, "format_invalid")
	}
	return nil
}
