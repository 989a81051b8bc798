package accounts_test

import (
	"testing"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/servertest/mysqlproxy"
)

type fault = mysqlproxy.Fault

const (
	cutBefore = mysqlproxy.CutBefore
	cutAfter  = mysqlproxy.CutAfter
	stall     = mysqlproxy.Stall
	holdBack  = mysqlproxy.HoldBack
)

// proxy stands between a replica and its MySQL server.
type proxy struct {
	*mysqlproxy.Proxy
	t *testing.T
}

// throughProxy is the same database, reached through a proxy.
func throughProxy(t *testing.T, db *servertest.Database) (*proxy, *servertest.Database) {
	t.Helper()
	other := *db
	p, url, err := mysqlproxy.New(db.URL, true)
	must(t, err)
	t.Cleanup(p.Away)
	other.URL = url
	return &proxy{p, t}, &other
}

// away refuses connections and ends those there are; back is the end of it.
func (p *proxy) away() { p.Away() }

func (p *proxy) back() { must(p.t, p.Back()) }

// silence takes connections and answers nothing, on old ones neither.
func (p *proxy) silence() { p.Silence() }

// cut ends every connection.
func (p *proxy) cut() { p.Cut() }

// next makes the next statements that hold the text meet these faults, one each.
func (p *proxy) next(match string, faults ...fault) { p.Next(match, faults...) }

// happened asks that all of them have.
func (p *proxy) happened(n int) {
	p.t.Helper()
	if met := p.Met(); met != n {
		p.t.Errorf("%d faults happened, want %d", met, n)
	}
}

// statements are those that have come since it was asked last, each without its values.
func (p *proxy) statements() []string { return p.Statements() }
