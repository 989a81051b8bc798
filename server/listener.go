package server

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"example.com/accounts/server/accounts"
)

// sharedListener closes the connections of a client that holds too many: otherwise one that opens them and says
// nothing takes all there are, and nobody else gets in. Proxies are no clients, nor are the programs of this machine,
// among which a proxy may be.
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

// hasNoShare reports whether an address is exempt from the limits of one client: the programs of this
// machine, and trusted proxies.
func (s *Server) hasNoShare(addr netip.Addr) bool { return addr.IsLoopback() || s.isTrustedProxy(addr) }

// Accept waits for the next connection that is kept.
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

// refused says so once a minute: it may be a proxy that nobody has named.
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

// sharedConn counts until it is closed.
type sharedConn struct {
	net.Conn
	close func()
}

// Close ends the connection.
func (c *sharedConn) Close() error {
	defer c.close()
	return c.Conn.Close()
}
