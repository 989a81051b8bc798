package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Tokens is a session as the client stores it. It can be encoded as JSON. When printed, or logged
// by slog, it shows no token.
type Tokens struct {
	SessionID  SessionID `json:"session_id"`
	Generation int64     `json:"generation"`
	Access     string    `json:"access_token"`
	Refresh    string    `json:"refresh_token"`
	// Attempt is the Refresh-Attempt of the next rotation. It is stored with the tokens, so that a
	// program that crashes between the server's response and Save can retry as the same client,
	// even days later.
	Attempt   string    `json:"refresh_attempt"`
	ExpiresAt time.Time `json:"expires_at"` // of the access token, by this machine's clock
	RefreshAt time.Time `json:"refresh_at"`
}

// equal reports whether other has the same tokens. The refresh token is different in each
// generation of each session.
func (t *Tokens) equal(other *Tokens) bool {
	return other != nil && t.Refresh == other.Refresh && t.Attempt == other.Attempt
}

// Format implements fmt.Formatter. It omits the tokens.
func (t Tokens) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Tokens(session %s, generation %d)", t.SessionID, t.Generation)
}

// LogValue implements slog.LogValuer. It omits the tokens.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// Storage keeps a session across restarts: the secure storage of the platform, or a file that no
// other user can read. Programs that share a storage share the session.
type Storage interface {
	// Load returns the tokens saved last, or nil.
	Load(ctx context.Context) (*Tokens, error)
	// Save replaces the saved tokens. If tokens is nil, the session has ended. The client uses
	// tokens only after Save has returned, so they must survive a crash from then on.
	Save(ctx context.Context, tokens *Tokens) error
}

// memory is the default storage, which does not survive a restart.
type memory struct {
	mu     sync.Mutex
	tokens *Tokens
}

func (m *memory) Load(context.Context) (*Tokens, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens, nil
}

func (m *memory) Save(_ context.Context, tokens *Tokens) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens = tokens
	return nil
}

// newAttempt returns 128 random bits as 22 characters of base64url.
func newAttempt() string {
	var bits [16]byte
	_, _ = io.ReadFull(rand.Reader, bits[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}
