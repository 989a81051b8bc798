package credentials

import "strings"

// Unusable is stored for a user without a password: nothing matches it.
const Unusable = "!"

// IsUsable says whether there is a password that could match. Django stores ! and some random characters where there is
// none.
func IsUsable(encoded string) bool { return encoded != "" && !strings.HasPrefix(encoded, Unusable) }
