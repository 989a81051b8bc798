package mail

import (
	"net"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

const (
	// maxIdle is how long a connection is kept for another message. Servers close idle connections
	// after minutes (RFC 5321, 4.5.3.2.7, recommends 5), and some after seconds.
	maxIdle = 10 * time.Second
	// maxMessages is how many messages are sent on one connection. Servers that limit them allow
	// 100 or more.
	maxMessages = 100
)

// connection is a connection to the server. Only one goroutine at a time uses it: the one that took
// it from the idle connections.
type connection struct {
	net    net.Conn
	client *smtp.Client // nil before the greeting
	sent   int          // messages that the server has accepted
	expiry *time.Timer  // closes the connection while it is idle
}

// close closes the connection after a failure, without QUIT: a command in the middle of DATA would
// end the message where it is.
func (c *connection) close() { _ = c.net.Close() }

// quit sends QUIT and closes the connection. It is for a connection that has not failed; for one
// that has, see close. The server has already accepted every message, so an error of QUIT does not
// matter.
func (c *connection) quit(patience time.Duration) {
	_ = c.net.SetDeadline(time.Now().Add(patience))
	_ = c.client.Quit()
	c.close()
}

// idleConnections are the connections that wait for another message. Each sender adds one at most,
// so there are no more of them than senders. They are safe for concurrent use.
type idleConnections struct {
	mu     sync.Mutex
	list   []*connection
	closed bool
}

// takeLast returns the connection that was used last, or nil if there is none.
func (i *idleConnections) takeLast() *connection {
	i.mu.Lock()
	defer i.mu.Unlock()
	last := len(i.list) - 1
	if last < 0 {
		return nil
	}
	c := i.list[last]
	i.list = i.list[:last]
	c.expiry.Stop()
	return c
}

// add keeps a connection for at most life, and then calls end with it. After close, add keeps
// nothing and returns false.
func (i *idleConnections) add(c *connection, life time.Duration, end func(*connection)) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.list = append(i.list, c)
	c.expiry = time.AfterFunc(life, func() {
		if i.remove(c) {
			end(c)
		}
	})
	return true
}

// remove reports whether the connection was still idle. If so, the caller owns it from then on.
func (i *idleConnections) remove(c *connection) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, each := range i.list {
		if each == c {
			i.list = append(i.list[:k], i.list[k+1:]...)
			return true
		}
	}
	return false
}

// close returns all idle connections, which the caller owns from then on. Later calls of add return
// false.
func (i *idleConnections) close() []*connection {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	list := i.list
	i.list = nil
	for _, c := range list {
		c.expiry.Stop()
	}
	return list
}
