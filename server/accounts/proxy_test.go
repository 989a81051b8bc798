package accounts_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"regexp"
	"sync"
	"testing"

	"example.com/accounts/server/servertest"
)

// fault is what happens to a statement on its way.
type fault int

const (
	none      fault = iota
	cutBefore       // the connection ends, and the server has never seen the statement
	cutAfter        // the server has made it, and the connection ends instead of an answer
	stall           // the server has made it, and there is neither an answer nor an end
	holdBack        // the connection ends; the server gets the statement when the next one is cut before
)

// proxy stands between a replica and its MySQL server and understands as much of the protocol as it takes to meet
// one statement.
type proxy struct {
	t        *testing.T
	upstream string
	listener net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool
	black  bool   // take connections and say nothing
	match  string // of the statements that faults are for
	faults []fault
	met    int    // how many faults have happened
	held   func() // sends what was held back
	noted  []string
}

// throughProxy is the same database, reached through a proxy.
func throughProxy(t *testing.T, db *servertest.Database) (*proxy, *servertest.Database) {
	t.Helper()
	u, err := url.Parse(db.URL)
	must(t, err)
	p := &proxy{t: t, upstream: u.Host, conns: map[net.Conn]bool{}}
	p.listen("127.0.0.1:0")
	t.Cleanup(p.away)
	u.Host = p.listener.Addr().String()
	other := *db
	other.URL = u.String()
	return p, &other
}

func (p *proxy) listen(addr string) {
	l, err := net.Listen("tcp", addr)
	must(p.t, err)
	p.listener = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
}

// away refuses connections and ends those there are; back is the end of it.
func (p *proxy) away() {
	_ = p.listener.Close()
	p.cut()
}

func (p *proxy) back() {
	p.mu.Lock()
	p.black = false
	p.mu.Unlock()
	p.cut()
	_ = p.listener.Close()
	p.listen(p.listener.Addr().String())
}

// silence takes connections and answers nothing, on old ones neither.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black = true
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// next makes the next statements that hold the text meet these faults, one each.
func (p *proxy) next(match string, faults ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.faults, p.met, p.held = match, faults, 0, nil
}

// happened asks that all of them have.
func (p *proxy) happened(n int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.met != n {
		p.t.Errorf("%d faults happened, want %d", p.met, n)
	}
}

// statements are those that have come since it was asked last, each without its values.
func (p *proxy) statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.noted
	p.noted = nil
	return list
}

var literals = regexp.MustCompile(`(?s)(_binary ?)?'(\\.|''|[^'\\])*'|\b\d+(\.\d+)?\b|\bNULL\b|\b(true|false)\b`)

func (p *proxy) fault(statement []byte) (fault, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	setUp := bytes.HasPrefix(statement, []byte("SET ")) // of a new connection
	if statement != nil && !setUp {
		p.noted = append(p.noted, literals.ReplaceAllString(string(statement), "?"))
	}
	if len(p.faults) == 0 || setUp || !bytes.Contains(statement, []byte(p.match)) {
		return none, nil
	}
	f := p.faults[0]
	p.faults = p.faults[1:]
	p.met++
	return f, p.held
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.black
}

// link is one connection, in lock step: the protocol has one question at a time.
type link struct {
	*proxy
	client, server net.Conn
	statements     map[uint32][]byte // prepared ones
	preparing      []byte
}

func (p *proxy) serve(client net.Conn) {
	p.keep(client)
	if p.silent() {
		return
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	p.keep(server)
	l := &link{proxy: p, client: client, server: server, statements: map[uint32][]byte{}}
	l.run()
}

func (l *link) run() {
	done := make(chan struct{})
	defer func() {
		close(done)
		_, _ = l.client.Close(), l.server.Close()
	}()
	questions, answers := make(chan []byte), make(chan []byte)
	go pump(done, questions, func() ([]byte, error) { return readPacket(l.client) })
	go pump(done, answers, func() ([]byte, error) { return readSome(l.server) })
	for {
		select {
		case answer, ok := <-answers:
			if !ok || !l.answer(answer) {
				return
			}
		case packet, ok := <-questions:
			if !ok || !l.question(packet, answers) {
				return
			}
		}
	}
}

func pump(done <-chan struct{}, to chan<- []byte, read func() ([]byte, error)) {
	defer close(to)
	for {
		data, err := read()
		if err != nil {
			return
		}
		select {
		case to <- data:
		case <-done:
			return
		}
	}
}

// answer passes on what the server says, and notes the number of a statement that has just been prepared.
func (l *link) answer(data []byte) bool {
	if l.silent() {
		return true
	}
	if l.preparing != nil && len(data) >= 9 && data[4] == 0 {
		l.statements[binary.LittleEndian.Uint32(data[5:9])] = l.preparing
	}
	l.preparing = nil
	_, err := l.client.Write(data)
	return err == nil
}

// question passes on a packet, unless it is a statement that is to meet a fault.
func (l *link) question(packet []byte, answers <-chan []byte) bool {
	if l.silent() {
		return true
	}
	const query, prepare, execute = 0x03, 0x16, 0x17
	var statement []byte
	if len(packet) > 8 && packet[3] == 0 { // the first packet of a command
		switch packet[4] {
		case query:
			statement = packet[5:]
		case prepare:
			l.preparing = packet[5:]
		case execute:
			statement = l.statements[binary.LittleEndian.Uint32(packet[5:9])]
		}
	}
	if f, held := l.fault(statement); f != none {
		l.suffer(f, held, packet, answers)
		return false
	}
	_, err := l.server.Write(packet)
	return err == nil
}

// suffer ends the connection in the way of the fault.
func (l *link) suffer(f fault, held func(), packet []byte, answers <-chan []byte) {
	switch f {
	case none:
	case cutBefore:
		if held != nil {
			held()
		}
	case holdBack:
		sent := make(chan struct{})
		made := make(chan struct{})
		l.mu.Lock()
		l.held = func() { close(sent); <-made }
		l.mu.Unlock()
		_ = l.client.Close()
		<-sent
		_, _ = l.server.Write(packet)
		<-answers
		close(made)
	case cutAfter, stall:
		_, _ = l.server.Write(packet)
		<-answers
		for f == stall { // until the client gives up
			if _, ok := <-answers; !ok {
				return
			}
		}
	}
}

func readSome(r io.Reader) ([]byte, error) {
	buffer := make([]byte, 16<<10)
	n, err := r.Read(buffer)
	return buffer[:n], err
}

func readPacket(r io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	packet := make([]byte, 4+length)
	copy(packet, header)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}
