package credentials

import (
	"errors"
	"reflect"
	"regexp"
	"testing"
)

// phc is an independent definition of the form in the PHC string format's specification.
var phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=[1-9][0-9]{0,9},t=[1-9][0-9]{0,9},p=[1-9][0-9]{0,2}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$`)

// A hash has one string: an accepted value is the string that would be written for it, and does not
// exceed the maximum cost.
func FuzzStoredHash(f *testing.F) {
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, cost := range []string{
		"m=19456,t=2,p=1", "m=64,t=1,p=1", "m=262144,t=16,p=16", "m=262145,t=1,p=1", "m=64,t=17,p=1", "m=8,t=1,p=2", "m=064,t=1,p=1", "m=+64,t=1,p=1",
		"m=0,t=0,p=0", "m=64,t=1", "m=64,t=1,p=1,p=1", "t=1,m=64,p=1", "m=18446744073709551615,t=1,p=1", "m=4294967360,t=1,p=1", "m=64,t=1,p=257", "m=64, t=1,p=1",
	} {
		f.Add("$argon2id$v=19$" + cost + "$" + salt + "$" + key)
	}
	for _, text := range []string{
		"", "$", "$argon2id$v=19$m=64,t=1,p=1$$", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key, "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "==$" + key, "$argon2id$v=19$m=64,t=1,p=1$AAAA\nAAAAAAAAAAAAAAAAAA$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt[:21] + "B$" + key, "pbkdf2_sha256$1$a$b", "$2b$10$x", "\x00", "x$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parsePHC(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooCostly) || !reflect.DeepEqual(s, storedHash{}) {
				t.Errorf("%q: %v with %+v", text, err, s)
			}
			return
		}
		if s.encode() != text || !phc.MatchString(text) {
			t.Errorf("%q is accepted, and would be written as %q", text, s.encode())
		}
		if !s.params.isValid() || len(s.salt) < minSalt || len(s.salt) > maxSalt || len(s.key) < minKey || len(s.key) > maxKey {
			t.Errorf("%q is accepted with %+v", text, s)
		}
	})
}
