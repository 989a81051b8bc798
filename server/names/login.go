package names

import "strings"

// Login is the name in a login, which is a username or an e-mail address. It is parsed once per
// request, because parsing costs more than all other work for a rejected request.
type Login struct {
	Norm     string
	Possible bool // a user can have the name
}

// ParseLogin also accepts a name that no user can have, so that rate limits count such a name like
// any other.
func ParseLogin(name string) Login {
	if norm, ok := NormalizeLogin(name); ok {
		return Login{norm, true}
	}
	return Login{strings.ToLower(name), false}
}

// NormalizeLogin returns the normalized form of the name in a login: of an address if it contains
// an @, or else of a username. A name that is neither may still be that of an imported user; see
// [NormalizeImportedUsername].
func NormalizeLogin(name string) (normalized string, ok bool) {
	normalize := NormalizeUsername
	if strings.Contains(name, "@") {
		normalize = NormalizeEmail
	}
	if normalized, ok := normalize(name); ok {
		return normalized, true
	}
	return NormalizeImportedUsername(name)
}
