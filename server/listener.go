package server

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"example.com/accounts/server/accounts"
)

// The most connections that are open at once, and those of one client.
const (
	maxConnections          = 10_000 // further ones wait to be accepted until one of these is closed
	maxConnectionsPerClient = maxConnections / 4
)

// limitedListener closes new connections of a client that holds too many. Otherwise, a client that
// opens connections and sends nothing could occupy all of them and lock everyone else out. Trusted
// proxies are not limited, and neither are programs on this machine, because one of them may be a
// proxy.
type limitedListener struct {
	net.Listener
	isExempt func(netip.Addr) bool
	limit    int // open connections per client

	log *slog.Logger
	now func() time.Time

	mu         sync.Mutex
	open       map[string]int // by network
	lastLogged time.Time      // when a rejected connection was last logged
}

func newLimitedListener(listener net.Listener, addresses *clientAddresses, log *slog.Logger, now func() time.Time) *limitedListener {
	return &limitedListener{Listener: listener, isExempt: addresses.isExempt, limit: maxConnectionsPerClient, log: log, now: now, open: map[string]int{}}
}

// Accept waits for the next connection that is within the limit of its client.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil || l.isExempt(peer.Addr().Unmap()) {
			return conn, nil //nolint:nilerr // a listener of something else than TCP has no addresses to count
		}
		network := accounts.Client{IP: peer.Addr().Unmap().String()}.Network().Wide
		if l.acquire(network) {
			return &limitedConn{Conn: conn, close: sync.OnceFunc(func() { l.release(network) })}, nil
		}
		_ = conn.Close()
		l.logRejected(peer.Addr())
	}
}

func (l *limitedListener) acquire(network string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network] >= l.limit {
		return false
	}
	l.open[network]++
	return true
}

// logRejected logs a rejected connection, at most once a minute. The client may be a proxy that is
// missing from the settings.
func (l *limitedListener) logRejected(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.lastLogged) >= time.Minute {
		l.lastLogged = now
		l.log.Warn("a client has too many open connections; if it is a proxy, add it to ACCOUNTS_TRUSTED_PROXIES", "ip", addr.String(), "most", l.limit)
	}
}

func (l *limitedListener) release(network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network]--; l.open[network] == 0 {
		delete(l.open, network)
	}
}

// limitedConn is a connection that counts against its client's limit until it is closed.
type limitedConn struct {
	net.Conn
	close func()
}

// Close closes the connection and stops counting it.
func (c *limitedConn) Close() error {
	defer c.close()
	return c.Conn.Close()
}
