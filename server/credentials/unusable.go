package credentials

import "strings"

// IsUsable reports whether a password can match encoded. A user without a password has an empty
// hash. Django stores ! and some random characters instead.
func IsUsable(encoded string) bool { return encoded != "" && !strings.HasPrefix(encoded, "!") }
