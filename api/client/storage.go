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

// Tokens is a session as its client keeps it. It can be encoded as JSON; printed and
// logged by slog it shows no token.
type Tokens struct {
	SessionID  SessionID `json:"session_id"`
	Generation int64     `json:"generation"`
	Access     string    `json:"access_token"`
	Refresh    string    `json:"refresh_token"`
	// Attempt is the Refresh-Attempt of the next rotation. It is kept with the tokens,
	// so that a program which dies between the server's answer and Save asks again as
	// the same client, also after days.
	Attempt   string    `json:"refresh_attempt"`
	ExpiresAt time.Time `json:"expires_at"` // the access token, by this machine's clock
	RefreshAt time.Time `json:"refresh_at"`
}

// same: the refresh token is another one in each generation of each session.
func (t *Tokens) same(other *Tokens) bool {
	return other != nil && t.Refresh == other.Refresh && t.Attempt == other.Attempt
}

// Format keeps the tokens out of a log line.
func (t Tokens) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Tokens(session %s, generation %d)", t.SessionID, t.Generation)
}

// LogValue does the same for slog.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// Storage keeps a session over restarts: the platform's secure storage, or a file
// that nobody else can read. Programs that share one share the session.
type Storage interface {
	// Load returns what was saved last, or nil.
	Load(ctx context.Context) (*Tokens, error)
	// Save replaces it; nil means that the session has ended. Tokens are used only
	// after Save has returned, so what it has taken must be there after a crash.
	Save(ctx context.Context, tokens *Tokens) error
}

// memory is the storage of a program that gave none.
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

// newAttempt is 128 random bits as 22 characters of base64url.
func newAttempt() string {
	var bits [16]byte
	_, _ = io.ReadFull(rand.Reader, bits[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}
