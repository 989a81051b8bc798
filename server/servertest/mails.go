package servertest

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/mail"
)

// Mails is a mail sender that stores the mails.
type Mails struct {
	mu   sync.Mutex
	sent []mail.Message
}

// Send implements mail.Sender.
func (m *Mails) Send(_ context.Context, message mail.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, message)
	return nil
}

// To returns the mails to an address so far.
func (m *Mails) To(address string) []mail.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []mail.Message
	for _, each := range m.sent {
		if each.To == address {
			list = append(list, each)
		}
	}
	return list
}

// Wait waits for the nth mail to an address, counted from 1.
func (m *Mails) Wait(t testing.TB, address string, n int) mail.Message {
	t.Helper()
	for range 1000 {
		if list := m.To(address); len(list) >= n {
			return list[n-1]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no mail number %d to %s after 10 s", n, address)
	return mail.Message{}
}

// Token returns the token in the link of a mail.
func Token(t testing.TB, m mail.Message) string {
	t.Helper()
	_, fragment, _ := strings.Cut(m.Link, "#")
	values, err := url.ParseQuery(fragment)
	token := values.Get("token")
	if err != nil || token == "" {
		t.Fatalf("no token in the link of a %s mail", m.Kind)
	}
	return token
}
