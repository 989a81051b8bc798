package token_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

func TestNewSecretIsValidAndUnique(t *testing.T) {
	a, errA := token.NewSecret()
	b, errB := token.NewSecret()
	if errA != nil || errB != nil || a == b {
		t.Fatalf("two secrets: errors %v, %v, equal %v", errA, errB, a == b)
	}
	for _, s := range []string{a, b, secretA} {
		if _, err := token.ParseSecret(s); err != nil {
			t.Errorf("%d characters: %v", len(s), err)
		}
	}
}

func TestParseSecretRejectsInvalidSecrets(t *testing.T) {
	good := secretA
	last := good[len(good)-1]
	for name, s := range map[string]string{
		"empty":               "",
		"prefix alone":        "acs1_",
		"a pass-phrase":       "correct horse battery staple correct horse battery sta",
		"a phrase as long":    "acs1_correct_horse_battery_staple_correct_horse_batte",
		"letters":             "acs1_" + strings.Repeat("A", 48),
		"without prefix":      good[5:],
		"other prefix":        "acs2_" + good[5:],
		"upper-case prefix":   "ACS1_" + good[5:],
		"a typing error":      good[:20] + flip(good[20]) + good[21:],
		"checksum changed":    good[:len(good)-1] + flip(last),
		"cut":                 good[:len(good)-1],
		"longer":              good + "A",
		"twice":               good + good,
		"two, with a comma":   good + "," + secretB,
		"padded":              good + "=",
		"quoted":              `"` + good + `"`,
		"line feed after":     good + "\n",
		"line feed inside":    good[:30] + "\n" + good[30:],
		"line feed for a bit": good[:30] + "\n" + good[31:],
		"line feeds alone":    "acs1_" + strings.Repeat("\n", 48),
		"space before":        " " + good,
		"standard alphabet":   good[:10] + "+/" + good[12:],
		"without checksum":    good[:5+43],
		"a megabyte":          strings.Repeat(good, 20000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := token.ParseSecret(s)
			if err == nil {
				t.Fatal("accepted")
			}
			if len(s) > 5 && strings.Contains(err.Error(), s) || strings.Contains(err.Error(), good[5:15]) {
				t.Error("the error contains the value")
			}
		})
	}
}

func flip(b byte) string {
	if b == 'x' {
		return "y"
	}
	return "x"
}

func TestKeysAreNotPrinted(t *testing.T) {
	secret, err := token.ParseSecret(secretA)
	if err != nil {
		t.Fatal(err)
	}
	type wrapped struct {
		Secret token.Secret
		hidden token.Secret
		ring   *token.KeyRing
	}
	r := ring(t, secretA)
	raw := tokentest.NewForger(secretA)
	var out bytes.Buffer
	out.WriteString(secret.String() + secret.GoString())
	for _, value := range []any{secret, &secret, []token.Secret{secret}, wrapped{secret, secret, r}, r, token.NewIssuer(r, origin, ttl), token.NewRefreshVerifier(r, origin, nil)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%X", "%c", "%U", "%b"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
		_ = json.NewEncoder(&out).Encode(value)
	}
	for name, key := range map[string][]byte{"secret": raw.Secret, "access": raw.AccessSeed(), "refresh": raw.RefreshKey()} {
		if found := printed(out.String(), key); found != "" {
			t.Errorf("%s key printed as %s", name, found)
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("the output does not show that the secret is omitted")
	}
}

// printed looks for the first bytes of a key in all forms that a print may use.
func printed(out string, key []byte) string {
	lower := strings.ToLower(out)
	for _, verb := range []string{"%s", "%q", "%x", "% x", "%d", "%v", "%#v", "%U", "%b"} {
		text := strings.ToLower(strings.Trim(fmt.Sprintf(verb, key[:6]), `[]{}"`))
		text = strings.TrimPrefix(text, "[]byte{")
		if strings.Contains(lower, text) {
			return verb
		}
	}
	return ""
}
