package credentials

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"example.com/accounts/server/hosts"
)

// For each kind, a hash as Django's hashers write it, of the password l\u00e8tmein unless noted
// otherwise. They are from other implementations: Python's hashlib (pbkdf2_hmac, scrypt) and crypt
// ($2b$), with P = "l\u00e8tmein".encode():
//
//	b64encode(hashlib.pbkdf2_hmac("sha256", P, b"seasalt", 1000))
//	b64encode(hashlib.scrypt(P, salt=b"seasalt", n=1024, r=8, p=5, dklen=64))
//	crypt.crypt("l\u00e8tmein", "$2b$04$abcdefghijklmnopqrstuu"), and of hashlib.sha256(P).hexdigest()
//
// The hashes of argon2 are from the reference implementation (phc-winner-argon2 test.c).
const (
	ofPBKDF2       = "pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A="
	ofPBKDF2SHA1   = "pbkdf2_sha1$1000$seasalt$ljleU4wBmTtz/MoG5YTwxpM0d7I="
	ofScrypt       = "scrypt$1024$seasalt$8$5$ozpUt/qDR/QLBzi9csaWJofO252yHC+Oxl5cycNUQkna/BBjumDq5KMXPAq1Xi3sxxGWxqtAlQmEE+DSWNl+FQ=="
	ofBcrypt       = "bcrypt$$2b$04$abcdefghijklmnopqrstuuanVo7Xut1CH8VGIGlz1JovQh9GJbbtG"
	ofBcryptSHA256 = "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuulyx/yrfLnuLCi6gwFG5mrkJjuQKpL6S"
	ofBcryptLong   = "bcrypt$$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe"                        // 72 times a, and XYZ
	ofSHA256Long   = "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuugx2ZcUdj4MifIXvs/QwBsAizByf4XWu"                 // 100 times a
	ofArgon2id     = "argon2$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" // password
	ofArgon2i      = "argon2$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"  // password
)

func TestDjangoHashesAreVerified(t *testing.T) {
	h := newCheap()
	const word = "l\u00e8tmein"
	as := func(n int) string { return strings.Repeat("a", n) }
	for _, test := range []struct {
		encoded, right string
		wrong          []string
	}{
		{ofPBKDF2, word, []string{"l\u00e8tmeinz", "letmein", ""}},
		{ofPBKDF2SHA1, word, []string{"l\u00e8tmeinz", ""}},
		{ofScrypt, word, []string{"l\u00e8tmeinz", ""}},
		{ofBcrypt, word, []string{"l\u00e8tmeinz", "", word + "\x00"}},
		{ofBcryptSHA256, word, []string{"l\u00e8tmeinz", ""}},
		{ofBcryptLong, as(72), []string{as(71), as(71) + "b"}},
		{ofBcryptLong, as(72) + strings.Repeat("Z", 900), []string{as(71) + "Z"}}, // Django and bcrypt ignore the rest
		{ofSHA256Long, as(100), []string{as(72), as(99), as(101)}},
		{ofArgon2id, "password", []string{"Password", ""}},
		{ofArgon2i, "password", []string{"Password", ""}},
		{strings.Replace(ofBcrypt, "2b", "2a", 1), word, nil},
		{strings.Replace(ofBcrypt, "2b", "2y", 1), word, nil},
	} {
		before := h.Stats().Computed
		if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, test.encoded, test.right); !ok || !rehash || err != nil {
			t.Errorf("%s: ok %v, rehash %v, err %v", test.encoded, ok, rehash, err)
		}
		for _, wrong := range test.wrong {
			if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, test.encoded, wrong); ok || rehash || err != nil {
				t.Errorf("%s with %q: ok %v, rehash %v, err %v", test.encoded, wrong, ok, rehash, err)
			}
		}
		if n := h.Stats().Computed - before; n != int64(1+len(test.wrong)) || h.Stats().Running != 0 {
			t.Errorf("%s: %d computed in slots, %d slots in use", test.encoded, n, h.Stats().Running)
		}
		if err := CheckStored(test.encoded); err != nil {
			t.Errorf("%s: %v", test.encoded, err)
		}
	}
}

// The hash that Django writes for a user without a password matches no password, and costs the same
// as a missing user.
func TestUnusableDjangoPasswordMatchesNothing(t *testing.T) {
	t.Attr("control", "13")
	h := newCheap()
	for _, encoded := range []string{"!", "!VNtKWFjs2ffVYTZg2mY0gWbv3LzPfwtkc8j2Nk7m", "!" + ofPBKDF2, "!$"} {
		for _, password := range []string{"", "!", encoded, "l\u00e8tmein"} {
			before := h.Stats().Computed
			if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, password); ok || rehash || err != nil || h.Stats().Computed != before+1 {
				t.Errorf("%s with %q: ok %v, rehash %v, err %v", encoded, password, ok, rehash, err)
			}
		}
		if err := CheckStored(encoded); err != nil {
			t.Errorf("%s: %v", encoded, err)
		}
	}
	if CheckStored("") == nil {
		t.Error("the empty string is accepted as a hash")
	}
}

// If too many passwords are verified at once, the others are rejected, for hashes of any origin.
func TestDjangoHashesOccupyHashingSlots(t *testing.T) {
	t.Attr("control", "81")
	h := NewHasher(cheap, 1, 0, 0)
	occupy(t, h)
	for _, encoded := range []string{ofPBKDF2, ofScrypt, ofBcrypt, ofArgon2id, "!"} {
		if _, _, err := h.Verify(t.Context(), hosts.Network{}, encoded, "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

func TestDjangoHashesAreLimitedInCost(t *testing.T) {
	t.Attr("control", "9")
	replace := func(encoded string, pairs ...string) string {
		changed := strings.NewReplacer(pairs...).Replace(encoded)
		if changed == encoded {
			t.Fatalf("%s does not have %v", encoded, pairs)
		}
		return changed
	}
	h := newCheap()
	for encoded, want := range map[string]error{
		replace(ofPBKDF2, "1000", "3000001"):                                ErrTooCostly,
		replace(ofPBKDF2, "1000", "99999999999"):                            ErrTooCostly,
		replace(ofPBKDF2SHA1, "1000", "3000001"):                            ErrTooCostly,
		replace(ofArgon2id, "m=256", "m=131073", "t=2", "t=1"):              ErrTooCostly,
		replace(ofArgon2id, "m=256", "m=102400", "t=2", "t=6"):              ErrTooCostly,
		replace(ofArgon2id, "t=2", "t=17"):                                  ErrTooCostly,
		replace(ofArgon2i, "m=256", "m=131073"):                             ErrTooCostly,
		replace(ofBcrypt, "$04$", "$15$"):                                   ErrTooCostly,
		replace(ofBcryptSHA256, "$04$", "$31$"):                             ErrTooCostly,
		replace(ofScrypt, "1024", "1048576", "$8$5$", "$1$1$"):              ErrTooCostly, // memory
		replace(ofScrypt, "1024", "131072", "$8$5$", "$1$64$"):              ErrTooCostly, // work
		replace(ofScrypt, "1024", "4611686018427387904"):                    ErrTooCostly,
		replace(ofScrypt, "$8$5$", "$4611686018427387904$5$"):               ErrTooCostly,
		replace(ofScrypt, "$8$5$", "$8$4611686018427387904$"):               ErrTooCostly,
		replace(ofScrypt, "1024", "1", "$8$5$", "$8$5$"):                    ErrMalformed,
		replace(ofScrypt, "1024", "1000"):                                   ErrMalformed, // not a power of two
		replace(ofScrypt, "$8$5$", "$0$5$"):                                 ErrMalformed,
		replace(ofScrypt, "$8$5$", "$8$-5$"):                                ErrMalformed,
		replace(ofScrypt, "$8$5$", "$8$"):                                   ErrMalformed,
		replace(ofScrypt, "==", ""):                                         ErrMalformed,
		replace(ofPBKDF2, "1000", "0"):                                      ErrMalformed,
		replace(ofPBKDF2, "1000", "-1"):                                     ErrMalformed,
		replace(ofPBKDF2, "1000", "+1000"):                                  ErrMalformed,
		replace(ofPBKDF2, "1000", "01000"):                                  ErrMalformed,
		replace(ofPBKDF2, "1000", ""):                                       ErrMalformed,
		replace(ofPBKDF2, "1000", "99999999999999999999"):                   ErrMalformed,
		replace(ofPBKDF2, "seasalt", ""):                                    ErrMalformed,
		replace(ofPBKDF2, "seasalt", "sea$salt"):                            ErrMalformed,
		replace(ofPBKDF2, "seasalt", "sea salt"):                            ErrMalformed,
		replace(ofPBKDF2, "seasalt", "s\u00e9a"):                            ErrMalformed,
		replace(ofPBKDF2, "seasalt", strings.Repeat("s", 65)):               ErrMalformed,
		replace(ofPBKDF2, "A=", "B="):                                       ErrMalformed, // spare bits
		replace(ofPBKDF2, "=", ""):                                          ErrMalformed,
		replace(ofPBKDF2, "Jg", "J\ng"):                                     ErrMalformed,
		replace(ofPBKDF2, "sha256", "sha1"):                                 ErrMalformed, // wrong length
		replace(ofPBKDF2, "sha256", "sha512"):                               ErrMalformed,
		replace(ofPBKDF2, "pbkdf2", "PBKDF2"):                               ErrMalformed,
		ofPBKDF2 + "$":                                                      ErrMalformed,
		ofPBKDF2 + "\n":                                                     ErrMalformed,
		" " + ofPBKDF2:                                                      ErrMalformed,
		replace(ofArgon2id, "argon2$argon2id", "argon2$argon2d"):            ErrMalformed,
		replace(ofArgon2id, "v=19$", ""):                                    ErrMalformed, // version 16, a different function
		replace(ofArgon2id, "argon2$", "argon2$$"):                          ErrMalformed,
		replace(ofArgon2id, "argon2$argon2id$", "argon2$argon2i$argon2id$"): ErrMalformed,
		replace(ofBcrypt, "$04$", "$03$"):                                   ErrMalformed,
		replace(ofBcrypt, "$04$", "$32$"):                                   ErrMalformed,
		replace(ofBcrypt, "$04$", "$4$"):                                    ErrMalformed,
		replace(ofBcrypt, "2b", "2x"):                                       ErrMalformed,
		replace(ofBcrypt, "$$", "$"):                                        ErrMalformed,
		replace(ofBcrypt, "btG", "btH"):                                     ErrMalformed, // spare bits
		replace(ofBcrypt, "stuuan", "stuvan"):                               ErrMalformed,
		ofBcrypt + "\n":                                                     ErrMalformed,
		"bcrypt$" + strings.Repeat("$", 1<<20):                              ErrMalformed,
		"md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3":                      ErrMalformed,
		"sha1$seasalt$cff36ea83f5706ce9aa7454e63e431fc726b2dc8":             ErrMalformed,
		"crypt$$ab1Hv2Lg7ltQo":                                              ErrMalformed,
		"88a434c88cca4e900f7874cd98123f43":                                  ErrMalformed,
	} {
		before := h.Stats().Computed
		ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, "x")
		if ok || rehash || !errors.Is(err, want) || h.Stats().Computed != before || !errors.Is(CheckStored(encoded), want) {
			t.Errorf("%.100q: ok %v, rehash %v, err %v, want %v and nothing computed", encoded, ok, rehash, err, want)
		}
	}
	for _, encoded := range []string{ // Django's defaults, and the caps
		replace(ofPBKDF2, "1000", "1500000"), replace(ofPBKDF2, "1000", "3000000"), replace(ofArgon2id, "m=256,t=2,p=1", "m=102400,t=2,p=8"),
		replace(ofArgon2id, "m=256,t=2", "m=131072,t=4"), replace(ofBcrypt, "$04$", "$14$"), replace(ofScrypt, "1024", "16384"), replace(ofScrypt, "1024", "65536"),
	} {
		if err := CheckStored(encoded); err != nil {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

// djangoForm is an independent definition of the form of these hashes.
var djangoForm = regexp.MustCompile(`^(pbkdf2_sha(1|256)\$[1-9][0-9]{0,6}\$[!-#%-~]{1,64}\$[A-Za-z0-9+/]{27,43}=|` +
	`argon2\$argon2id?\$v=19\$m=[1-9][0-9]{0,5},t=[1-9][0-9]?,p=[1-9][0-9]?\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}|` +
	`bcrypt(_sha256)?\$\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}|` +
	`scrypt\$[1-9][0-9]{0,6}\$[!-#%-~]{1,64}\$[1-9][0-9]{0,6}\$[1-9][0-9]{0,6}\$[A-Za-z0-9+/]{86}==)$`)

// Every stored value is either parsed or rejected, and a parsed value has the form of one of
// Django's hashes.
func FuzzDjangoHash(f *testing.F) {
	for _, encoded := range []string{ofPBKDF2, ofPBKDF2SHA1, ofScrypt, ofBcrypt, ofBcryptSHA256, ofArgon2id, ofArgon2i, "!", "!x", "", "$", "a$", "bcrypt$$2b$04$",
		"pbkdf2_sha256$1$a$", "argon2$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$YWJj", "scrypt$2$a$1$1$", "\x00$"} {
		f.Add(encoded)
	}
	h := newCheap()
	f.Fuzz(func(t *testing.T, encoded string) {
		err := CheckStored(encoded)
		switch {
		case err == nil && isDjango(encoded) && IsUsable(encoded) && !djangoForm.MatchString(encoded):
			t.Fatalf("%q is accepted", encoded)
		case err == nil:
			return // allowed, but slow
		case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooCostly):
			t.Fatalf("%q: %v", encoded, err)
		}
		if ok, rehash, verifyErr := h.Verify(t.Context(), hosts.Network{}, encoded, "fuzz"); ok || rehash || encoded != "" && fmt.Sprint(verifyErr) != fmt.Sprint(err) {
			t.Fatalf("%q: ok %v, rehash %v, %v instead of %v", encoded, ok, rehash, verifyErr, err)
		}
	})
}
