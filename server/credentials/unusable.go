package credentials

import "strings"

// Unusable is the stored hash of a user without a password. No password matches it.
const Unusable = "!"

// IsUsable reports whether a password can match encoded. For a user without a password, Django
// stores ! and some random characters.
func IsUsable(encoded string) bool { return encoded != "" && !strings.HasPrefix(encoded, Unusable) }
