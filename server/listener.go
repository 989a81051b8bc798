package server

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"example.com/accounts/server/accounts"
)

// sharedListener closes new connections of a client that holds too many. Otherwise, a client that
// opens connections and sends nothing could occupy all of them and lock everyone else out. Trusted
// proxies are not limited, and neither are programs on this machine, because one of them may be a
// proxy.
type sharedListener struct {
	net.Listener
	free func(netip.Addr) bool
	most int

	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	open map[string]int // by network
	said time.Time
}

func (s *Server) shared(listener net.Listener) net.Listener {
	return &sharedListener{
		Listener: listener, most: maxOfOneClient, open: map[string]int{}, log: s.Log, now: s.Now, free: s.hasNoShare,
	}
}

// hasNoShare reports whether an address is exempt from the limits per client, as programs on this
// machine and trusted proxies are.
func (s *Server) hasNoShare(addr netip.Addr) bool { return addr.IsLoopback() || s.isTrustedProxy(addr) }

// Accept waits for the next connection that is within the limit of its client.
func (l *sharedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil || l.free(peer.Addr().Unmap()) {
			return conn, nil //nolint:nilerr // a listener of something else than TCP has no addresses to count
		}
		network := accounts.Client{IP: peer.Addr().Unmap().String()}.WideNetwork()
		if l.take(network) {
			return &sharedConn{Conn: conn, close: sync.OnceFunc(func() { l.giveBack(network) })}, nil
		}
		_ = conn.Close()
		l.refused(peer.Addr())
	}
}

func (l *sharedListener) take(network string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network] >= l.most {
		return false
	}
	l.open[network]++
	return true
}

// refused logs a rejected connection, at most once a minute. The client may be a proxy that is
// missing from the settings.
func (l *sharedListener) refused(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.said) >= time.Minute {
		l.said = now
		l.log.Warn("a client has too many open connections; if it is a proxy, add it to ACCOUNTS_TRUSTED_PROXIES", "ip", addr.String(), "most", l.most)
	}
}

func (l *sharedListener) giveBack(network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network]--; l.open[network] == 0 {
		delete(l.open, network)
	}
}

// sharedConn is a connection that counts against its client's limit until it is closed.
type sharedConn struct {
	net.Conn
	close func()
}

// Close closes the connection and stops counting it.
func (c *sharedConn) Close() error {
	defer c.close()
	return c.Conn.Close()
}
