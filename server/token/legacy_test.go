package token_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

const (
	legacySecret = "django-insecure-$5k,2m=x0n9(w!v3r@p8q" // a secret may contain a comma
	otherSecret  = "another secret of the old service"
)

func legacyVerifier(secrets ...string) *token.LegacyVerifier {
	return token.NewLegacyVerifier(secrets)
}

// The tokens of the Django service, and those that libraries of other versions would write.
func TestLegacyTokensAreAccepted(t *testing.T) {
	now, day := start.Unix(), int64(86400)
	simple := func(rest string) string {
		return fmt.Sprintf(`{"token_type":"refresh","exp":%d,"iat":%d,"jti":"3f1c","user_id":%s}`, now+60, now-60, rest)
	}
	v := legacyVerifier(otherSecret, legacySecret)
	for name, raw := range map[string]string{
		"simplejwt":                   tokentest.LegacySimple(legacySecret, "refresh", 42, now-60, now+60, "3f1c"),
		"simplejwt, the other secret": tokentest.LegacySimple(otherSecret, "refresh", 42, now-60, now+60, "3f1c"),
		"simplejwt, the id as a text": tokentest.Legacy(legacySecret, tokentest.LegacyHeader, simple(`"42"`)),
		"simplejwt with more claims":  tokentest.Legacy(legacySecret, tokentest.LegacyHeader, simple(`42,"name":"Ada","aud":["x"],"roles":{"a":1,"a":2}`)),
		"nbf":                         tokentest.Legacy(legacySecret, tokentest.LegacyHeader, simple(fmt.Sprintf(`42,"nbf":%d`, now))),
		"the header the other way":    tokentest.Legacy(legacySecret, `{"typ":"JWT","alg":"HS256"}`, simple("42")),
		"as Python spaces it":         tokentest.Legacy(legacySecret, `{"typ": "JWT", "alg": "HS256"}`, strings.NewReplacer(":", ": ", ",", ", ").Replace(simple("42"))),
		"by hand":                     tokentest.LegacyByHand(legacySecret, 42, now-6*day, now+60),
		"by hand, of one day":         tokentest.LegacyByHand(legacySecret, 42, now, now+day),
		"by a clock that is ahead":    tokentest.LegacyByHand(legacySecret, 42, now+5, now+7*day),
	} {
		c, err := v.Refresh(raw)
		byHand := strings.HasPrefix(name, "by ")
		if (c.Identity == token.LegacyJTI("3f1c")) == byHand || err != nil || c.Subject != 42 || !c.ExpiresAt.After(start) || c.ExpiresAt.Location() != time.UTC {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// The verifier reads no clock: the caller compares the times with a clock that agrees with the
// database's.
func TestLegacyTokensAreValidFromNotBeforeUntilExpiry(t *testing.T) {
	now, day := start.Unix(), int64(86400)
	nbf := func(nbf int64) string {
		return tokentest.Legacy(legacySecret, tokentest.LegacyHeader, fmt.Sprintf(
			`{"token_type":"refresh","exp":%d,"iat":%d,"jti":"3f1c","user_id":42,"nbf":%d}`, now+60, now-60, nbf))
	}
	for name, c := range map[string]struct {
		raw   string
		valid bool
	}{
		"one second left":           {tokentest.LegacySimple(legacySecret, "refresh", 42, now-60, now+1, "3f1c"), true},
		"expires now":               {tokentest.LegacySimple(legacySecret, "refresh", 42, now-60, now, "3f1c"), false},
		"expired":                   {tokentest.LegacySimple(legacySecret, "refresh", 42, now-60, now-1, "3f1c"), false},
		"expired, by hand":          {tokentest.LegacyByHand(legacySecret, 42, now-8*day, now-day), false},
		"issued by a clock ahead":   {tokentest.LegacySimple(legacySecret, "refresh", 42, now+6, now+60, "3f1c"), true},
		"not before now":            {nbf(now), true},
		"not before one second on":  {nbf(now + 1), false},
		"not before one second ago": {nbf(now - 1), true},
	} {
		got, err := legacyVerifier(legacySecret).Refresh(c.raw)
		if err != nil || got.ValidAt(start) != c.valid {
			t.Errorf("%s: valid %t, %v; want %t", name, got.ValidAt(start), err, c.valid)
		}
	}
}

func TestInvalidLegacyTokensAreRejected(t *testing.T) {
	now, day := start.Unix(), int64(86400)
	text := func(header, claims string) string { return tokentest.Legacy(legacySecret, header, claims) }
	claims := func(c string) string { return text(tokentest.LegacyHeader, c) }
	simple := fmt.Sprintf(`{"token_type":"refresh","exp":%d,"iat":%d,"jti":"3f1c","user_id":42}`, now+60, now-60)
	hand := fmt.Sprintf(`{"user_id":42,"exp":%d,"iat":%d}`, now+6*day, now-day)
	change := func(good, old, new string) string {
		changed := strings.Replace(good, old, new, 1)
		if changed == good {
			t.Fatalf("%s is not in %s", old, good)
		}
		return claims(changed)
	}
	cases := map[string]string{
		"an access token of simplejwt":     tokentest.LegacySimple(legacySecret, "access", 42, now-60, now+60, "3f1c"),
		"a long one":                       tokentest.LegacySimple(legacySecret, "access", 42, now-60, now+6*day, "3f1c"),
		"a sliding one":                    tokentest.LegacySimple(legacySecret, "sliding", 42, now-60, now+6*day, "3f1c"),
		"an access token made by hand":     tokentest.LegacyByHand(legacySecret, 42, now-60, now+240),
		"one of nearly a day":              tokentest.LegacyByHand(legacySecret, 42, now-60, now-60+day-1),
		"ended before it began":            tokentest.LegacySimple(legacySecret, "refresh", 42, now+4, now+3, "3f1c"),
		"another secret":                   tokentest.LegacySimple(otherSecret, "refresh", 42, now-60, now+60, "3f1c"),
		"no secret":                        tokentest.LegacySimple("", "refresh", 42, now-60, now+60, "3f1c"),
		"user 0":                           tokentest.LegacySimple(legacySecret, "refresh", 0, now-60, now+60, "3f1c"),
		"user -1":                          tokentest.LegacySimple(legacySecret, "refresh", -1, now-60, now+60, "3f1c"),
		"the type twice":                   change(simple, `{`, `{"token_type":"refresh",`),
		"the type twice, first access":     change(simple, `{`, `{"token_type":"access",`),
		"the type twice, last access":      change(simple, `}`, `,"token_type":"access"}`),
		"the type in other letters":        change(simple, `"token_type"`, `"Token_Type"`),
		"and both, in capitals first":      change(simple, `{`, `{"TOKEN_TYPE":"access",`),
		"and both":                         change(simple, `}`, `,"TOKEN_TYPE":"access"}`),
		"an escape in the type":            change(simple, `"refresh"`, `"\u0072efresh"`),
		"the type is a list":               change(simple, `"refresh"`, `["refresh"]`),
		"the type is null":                 change(simple, `"refresh"`, `null`),
		"the user twice":                   change(simple, `{`, `{"user_id":1,`),
		"the user in other letters":        change(simple, `"user_id"`, `"USER_ID"`),
		"and both, of the user":            change(simple, `}`, `,"User_id":1}`),
		"the user is 42.0":                 change(simple, `:42`, `:42.0`),
		"the user is 4.2e1":                change(simple, `:42`, `:4.2e1`),
		"the user is \"042\"":              change(simple, `:42`, `:"042"`),
		"the user is \"+42\"":              change(simple, `:42`, `:"+42"`),
		"the user is \"\"":                 change(simple, `:42`, `:""`),
		"the user is true":                 change(simple, `:42`, `:true`),
		"the user is a list":               change(simple, `:42`, `:[42]`),
		"the user is null":                 change(simple, `:42`, `:null`),
		"user beyond the integers of JSON": change(simple, `:42`, `:9007199254740993`),
		"no user":                          change(simple, `,"user_id":42`, ``),
		"sub in its place":                 change(simple, `"user_id":42`, `"sub":"42"`),
		"no jti":                           change(simple, `"jti":"3f1c",`, ``),
		"an empty jti":                     change(simple, `"3f1c"`, `""`),
		"jti is a number":                  change(simple, `"3f1c"`, `31`),
		"no exp":                           change(simple, fmt.Sprintf(`"exp":%d,`, now+60), ``),
		"exp is a text":                    change(simple, fmt.Sprint(now+60), fmt.Sprintf(`"%d"`, now+60)),
		"exp has a fraction":               change(simple, fmt.Sprint(now+60), fmt.Sprintf(`%d.5`, now+60)),
		"exp beyond all years":             change(simple, fmt.Sprint(now+60), `253402300800`),
		"exp twice":                        change(simple, `{`, fmt.Sprintf(`{"exp":%d,`, now-1)),
		"no iat":                           change(simple, fmt.Sprintf(`"iat":%d,`, now-60), ``),
		"nbf is 0":                         change(simple, `}`, `,"nbf":0}`),
		"nbf is a text":                    change(simple, `}`, `,"nbf":"1"}`),
		"revoked by a password change":     change(simple, `}`, `,"hash_password":"0CC1"}`),
		"by hand, with a uid":              change(hand, `}`, `,"uid":"5a"}`),
		"by hand, with a jti":              change(hand, `}`, `,"jti":"5a"}`),
		"by hand, with an aud":             change(hand, `}`, `,"aud":"x"}`),
		"by hand, no iat":                  change(hand, fmt.Sprintf(`,"iat":%d`, now-day), ``),
		"by hand, iat twice":               change(hand, `}`, fmt.Sprintf(`,"iat":%d}`, now-day)),
		"by hand, no user":                 change(hand, `"user_id":42`, `"x":42`),
		"claims that are no object":        claims(`[` + simple + `]`),
		"claims and more":                  claims(simple + simple),
		"no claims":                        claims(``),
		"null":                             claims(`null`),
		"half":                             claims(simple[:len(simple)-1]),
		"a line feed in it":                claims(simple)[:40] + "\n" + claims(simple)[40:],
		"padded":                           claims(simple) + "=",
		"no signature":                     claims(simple)[:strings.LastIndex(claims(simple), ".")+1],
		"too long":                         change(simple, `}`, `,"x":"`+strings.Repeat("x", token.MaxBytes)+`"}`),
		"empty":                            "",
	}
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" { // some of these letters decode to the same bytes
		if raw := claims(simple); raw[len(raw)-1] != byte(last) {
			cases["the last letter "+string(last)] = raw[:len(raw)-1] + string(last)
		}
	}
	for _, header := range []string{
		`{"alg":"none","typ":"JWT"}`, `{"alg":"HS384","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"alg":"hs256","typ":"JWT"}`, `{"alg":"EdDSA","typ":"JWT"}`,
		`{"alg":"HS256"}`, `{"typ":"JWT"}`, `{}`, `[]`, `{"alg":"HS256","typ":"jwt"}`, `{"alg":"HS256","typ":"rt+jwt"}`, `{"alg":"HS256","typ":null}`,
		`{"alg":"HS256","typ":"JWT","crit":["x"]}`, `{"alg":"HS256","typ":"JWT","crit":[]}`, `{"alg":"HS256","typ":"JWT","kid":"x"}`, `{"alg":"HS256","typ":"JWT","b64":false}`,
		`{"alg":"none","alg":"HS256","typ":"JWT"}`, `{"alg":"HS256","typ":"JWT","ALG":"none"}`, `{"ALG":"HS256","typ":"JWT"}`, `{"alg":"HS256","typ":"JWT"}{}`,
	} {
		cases["header "+header] = text(header, simple)
		cases["by hand, header "+header] = text(header, hand)
	}
	v := legacyVerifier(legacySecret)
	for _, good := range []string{claims(simple), claims(hand)} {
		if _, err := v.Refresh(good); err != nil {
			t.Fatalf("the unmodified token is rejected: %v", err)
		}
	}
	for name, raw := range cases {
		c, err := v.Refresh(raw)
		if !errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrExpired) || c != (token.LegacyClaims{}) || len(err.Error()) > 60 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// Tokens of this server and of the Django service are never accepted as each other, even if both
// are signed with the same key.
func TestLegacyAndOwnTokensAreNotInterchangeable(t *testing.T) {
	r, c := ring(t, secretA), &clock{start}
	access, refresh := mint(t, r, grant())
	forger := tokentest.NewForger(secretA)
	shared := string(forger.RefreshKey())
	v := legacyVerifier(legacySecret, shared, secretA, string(forger.Secret))
	for _, use := range []tokentest.Use{tokentest.Access, tokentest.Refresh} {
		n := 0
		for _, hostile := range tokentest.Hostile(use, secretA, access, refresh, start) {
			if _, err := v.Refresh(hostile.Raw); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%s: %v", hostile.Name, err)
			}
			n++
		}
		if n < 400 {
			t.Errorf("only %d cases", n)
		}
	}
	for _, own := range []string{access, refresh} {
		if _, err := v.Refresh(own); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("a token of this server is accepted as a legacy token: %v", err)
		}
	}
	theirs := tokentest.LegacySimple(shared, "refresh", 42, start.Unix()-60, start.Unix()+60, "3f1c")
	if _, err := v.Refresh(theirs); err != nil {
		t.Fatalf("the key is not shared: %v", err)
	}
	if _, err := token.NewVerifier(r.PublicKey, origin, c.now).Access(theirs); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("as an access token: %v", err)
	}
	if _, err := token.NewRefreshVerifier(r, origin, c.now).Refresh(theirs); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("as a refresh token: %v", err)
	}
}

func TestLegacyVerifierRequiresSecretsAndHidesThem(t *testing.T) {
	unsigned := tokentest.LegacySimple("", "refresh", 42, start.Unix()-60, start.Unix()+60, "3f1c")
	for name, secrets := range map[string][]string{"none": nil, "an empty one": {""}, "one of them empty": {legacySecret, ""}} {
		if _, err := legacyVerifier(secrets...).Refresh(unsigned); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := legacyVerifier(legacySecret)
	type wrapped struct{ v *token.LegacyVerifier }
	for _, value := range []any{v, wrapped{v}, []any{v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if found := printed(fmt.Sprintf(verb, value), []byte(legacySecret)); found != "" {
				t.Errorf("%s prints the secret as %s", verb, found)
			}
		}
	}
}
