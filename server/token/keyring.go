package token

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// KeySource returns the public key that a token names, and reports whether there is one. The method
// PublicKey of [KeyRing] is one.
//
// It is called concurrently, with kids that are not authenticated yet. So it must only read memory:
// if it fetched keys, a stranger's token could make the server send requests (RFC 8725 section
// 3.10). A source with keys from another server refreshes them on its own schedule. Callers must not
// change the key.
type KeySource func(kid string) (ed25519.PublicKey, bool)

// KeyRing holds the keys of one or more secrets. The first signs, all verify. It is immutable, and
// prints without its keys.
type KeyRing struct {
	keys hidden[[]keySet]
}

// keySet holds the keys derived from one secret, one for each purpose, so that a value for one
// purpose is never valid for another. kid names the set in both kinds of token.
type keySet struct {
	kid     string
	public  ed25519.PublicKey
	access  ed25519.PrivateKey
	refresh []byte
	csrf    []byte
	link    []byte
}

// NewKeyRing derives the keys. It rejects an empty list, a zero [Secret] and a repeated secret. The
// error contains the position in the list, never the value.
func NewKeyRing(secrets []Secret) (*KeyRing, error) {
	if len(secrets) == 0 {
		return nil, errors.New("token: a key ring needs a secret")
	}
	var keys []keySet
	for i, secret := range secrets {
		if secret.key == nil {
			return nil, fmt.Errorf("token: secret %d is empty", i+1)
		}
		set, err := derive(secret)
		if err != nil {
			return nil, fmt.Errorf("token: secret %d: %w", i+1, err)
		}
		if _, twice := find(keys, set.kid); twice {
			return nil, fmt.Errorf("token: secret %d repeats an earlier one", i+1)
		}
		keys = append(keys, set)
	}
	return &KeyRing{keys: hide(keys)}, nil
}

func derive(secret Secret) (keySet, error) {
	root := secret.key()
	var seed, refresh, csrf, link []byte
	for purpose, key := range map[string]*[]byte{"at": &seed, "rt": &refresh, "csrf": &csrf, "link": &link} {
		var err error
		if *key, err = hkdf.Key(sha256.New, root[:], nil, "accounts/v1/"+purpose, 32); err != nil {
			return keySet{}, err
		}
	}
	access := ed25519.NewKeyFromSeed(seed)
	public := access.Public().(ed25519.PublicKey)
	return keySet{kid: thumbprint(public), public: public, access: access, refresh: refresh, csrf: csrf, link: link}, nil
}

func (r *KeyRing) signing() keySet { return r.keys()[0] }

func (r *KeyRing) find(kid string) (keySet, bool) { return find(r.keys(), kid) }

func find(keys []keySet, kid string) (keySet, bool) {
	for _, set := range keys {
		if set.kid == kid {
			return set, true
		}
	}
	return keySet{}, false
}

// PublicKey returns the key that verifies access tokens with that kid.
func (r *KeyRing) PublicKey(kid string) (ed25519.PublicKey, bool) {
	set, ok := r.find(kid)
	return set.public, ok
}

// CSRF returns the value that a client with cookies must send in the header: an HMAC-SHA256 of the
// session id in 43 base64url characters.
//
// Threat: a page that can set cookies, such as one on a sibling subdomain, can make a cookie and a
// header that are equal. It cannot make a value that fits the session.
func (r *KeyRing) CSRF(sid uuid.UUID) string {
	return r.signing().csrfValue(sid)
}

// ValidCSRF reports whether presented is the CSRF value of that session under any key of the ring.
// Its time does not depend on the position of a difference.
func (r *KeyRing) ValidCSRF(sid uuid.UUID, presented string) bool {
	valid := 0
	for _, set := range r.keys() {
		valid |= subtle.ConstantTimeCompare([]byte(set.csrfValue(sid)), []byte(presented))
	}
	return valid == 1
}

func (s keySet) csrfValue(sid uuid.UUID) string {
	mac := hmac.New(sha256.New, s.csrf)
	mac.Write(sid[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// OneTime returns the value of the one-time token with that id: an HMAC-SHA256 in 43 base64url
// characters. It need not be stored, because it can be computed again when a mail is sent again. It
// cannot be computed from the id without the secret.
func (r *KeyRing) OneTime(id uuid.UUID) string {
	return r.signing().oneTime(id)
}

// OneTimes returns the values under every key of the ring, because a mail that was queued before a
// rotation of the secret may be sent after it.
func (r *KeyRing) OneTimes(id uuid.UUID) []string {
	var values []string
	for _, set := range r.keys() {
		values = append(values, set.oneTime(id))
	}
	return values
}

func (s keySet) oneTime(id uuid.UUID) string {
	mac := hmac.New(sha256.New, s.link)
	mac.Write(id[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Format keeps private keys out of a log line that prints the ring.
func (r *KeyRing) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "KeyRing"+redacted)
}
