package tokentest

import "fmt"

// LegacyHeader is the header that PyJWT writes.
const LegacyHeader = `{"alg":"HS256","typ":"JWT"}`

// Legacy signs a header and a payload as PyJWT does.
func Legacy(secret, header, payload string) string {
	parts := b64([]byte(header)) + "." + b64([]byte(payload))
	return parts + "." + b64(hs256([]byte(secret), parts))
}

// LegacySimple returns a token of simplejwt, of the type access or refresh.
func LegacySimple(secret, kind string, userID, iat, exp int64, jti string) string {
	return Legacy(secret, LegacyHeader, fmt.Sprintf(`{"token_type":%q,"exp":%d,"iat":%d,"jti":%q,"user_id":%d}`, kind, exp, iat, jti, userID))
}

// LegacyByHand returns a token made with PyJWT alone.
func LegacyByHand(secret string, userID, iat, exp int64) string {
	return Legacy(secret, LegacyHeader, fmt.Sprintf(`{"user_id":%d,"exp":%d,"iat":%d}`, userID, exp, iat))
}
