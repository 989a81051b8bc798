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

// proxy is a proxy between a replica and its MySQL server.
type proxy struct {
	*mysqlproxy.Proxy
	t *testing.T
}

// throughProxy returns a proxy to the database, and the database as reached through it.
func throughProxy(t *testing.T, db *servertest.Database) (*proxy, *servertest.Database) {
	t.Helper()
	other := *db
	p, url, err := mysqlproxy.New(db.URL, true)
	must(t, err)
	t.Cleanup(p.Away)
	other.URL = url
	return &proxy{p, t}, &other
}

// away rejects new connections and closes the existing ones; back ends that.
func (p *proxy) away() { p.Away() }

func (p *proxy) back() { must(p.t, p.Back()) }

// silence accepts connections and answers nothing, also on existing ones.
func (p *proxy) silence() { p.Silence() }

// cut ends every connection.
func (p *proxy) cut() { p.Cut() }

// next applies the faults to the next statements that contain the text, one each.
func (p *proxy) next(match string, faults ...fault) { p.Next(match, faults...) }

// happened checks that n faults have been applied.
func (p *proxy) happened(n int) {
	p.t.Helper()
	if met := p.Met(); met != n {
		p.t.Errorf("%d faults happened, want %d", met, n)
	}
}

// statements returns the statements since the last call, without their values.
func (p *proxy) statements() []string { return p.Statements() }
