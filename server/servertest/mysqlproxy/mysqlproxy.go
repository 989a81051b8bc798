// Package mysqlproxy is a proxy between a server and its MySQL database that injects faults. It
// parses only as much of the protocol as it needs to recognize a statement. The tests of lost
// connections use it, and so does the torture test in scripts/. It stores only statements without
// their values.
package mysqlproxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"regexp"
	"sync"
	"time"
)

// Fault is a failure of one statement and its connection.
type Fault int

// The kinds of Fault.
const (
	None      Fault = iota
	CutBefore       // the connection is closed before the server receives the statement
	CutAfter        // the server executes the statement, and the connection is closed without a response
	Stall           // the server executes the statement, and the client gets no response until it gives up
	HoldBack        // the connection is closed; the server receives the statement at the next CutBefore
)

// Proxy is a listener in front of a MySQL server.
type Proxy struct {
	upstream string
	listener net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool
	black  bool // accept connections but send nothing
	delay  time.Duration
	match  string // text in the statements to which faults apply
	faults []Fault
	met    int    // number of faults that have happened
	held   func() // sends the statement that was held back
	noting bool
	noted  []string
}

// New starts a proxy in front of a database and returns it with the URL of the database through the
// proxy. If noting is set, the proxy records statements.
func New(database string, noting bool) (*Proxy, string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return nil, "", err
	}
	p := &Proxy{upstream: u.Host, conns: map[net.Conn]bool{}, noting: noting}
	if err := p.listen("127.0.0.1:0"); err != nil {
		return nil, "", err
	}
	u.Host = p.listener.Addr().String()
	return p, u.String(), nil
}

func (p *Proxy) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
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
	return nil
}

// Away rejects new connections and closes the open ones, until Back.
func (p *Proxy) Away() {
	_ = p.listener.Close()
	p.Cut()
}

// Back accepts connections again. It ends Away and Silence.
func (p *Proxy) Back() error {
	p.mu.Lock()
	p.black = false
	p.mu.Unlock()
	p.Cut()
	_ = p.listener.Close()
	return p.listen(p.listener.Addr().String())
}

// Silence accepts connections but sends nothing on them or on the open ones, until Back.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black = true
}

// Delay delays every packet to the server by d.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut closes every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// HalfClose closes the sending direction of every connection, to the client and to the server, and
// still receives data.
func (p *Proxy) HalfClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
	}
}

// Next applies the faults to the next statements that contain match, one fault per statement.
func (p *Proxy) Next(match string, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.faults, p.met, p.held = match, faults, 0, nil
}

// Met returns how many of the faults of the last Next have happened.
func (p *Proxy) Met() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// Statements returns the statements since the previous call, without their values.
func (p *Proxy) Statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.noted
	p.noted = nil
	return list
}

var literals = regexp.MustCompile(`(?s)(_binary ?)?'(\\.|''|[^'\\])*'|\b\d+(\.\d+)?\b|\bNULL\b|\b(true|false)\b`)

func (p *Proxy) fault(statement []byte) (Fault, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	setUp := bytes.HasPrefix(statement, []byte("SET ")) // configures a new connection
	if p.noting && statement != nil && !setUp {
		p.noted = append(p.noted, literals.ReplaceAllString(string(statement), "?"))
	}
	if len(p.faults) == 0 || setUp || !bytes.Contains(statement, []byte(p.match)) {
		return None, nil
	}
	f := p.faults[0]
	p.faults = p.faults[1:]
	p.met++
	return f, p.held
}

func (p *Proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) slowness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func (p *Proxy) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.black
}

// link is one proxied connection. It works in lockstep, because the protocol has at most one
// pending command.
type link struct {
	*Proxy
	client, server net.Conn
	statements     map[uint32][]byte // prepared statements by number
	preparing      []byte
}

func (p *Proxy) serve(client net.Conn) {
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
	l := &link{Proxy: p, client: client, server: server, statements: map[uint32][]byte{}}
	l.run()
}

func (l *link) run() {
	done := make(chan struct{})
	defer func() {
		close(done)
		l.drop(l.client)
		l.drop(l.server)
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

// answer forwards data of the server, and records the number of a statement that has just been
// prepared.
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

// question forwards a packet, unless a fault applies to its statement. It reports whether the
// connection stays open.
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
	if f, held := l.fault(statement); f != None {
		l.suffer(f, held, packet, answers)
		return false
	}
	time.Sleep(l.slowness())
	_, err := l.server.Write(packet)
	return err == nil
}

// suffer ends the connection in the way of the fault.
func (l *link) suffer(f Fault, held func(), packet []byte, answers <-chan []byte) {
	switch f {
	case None:
	case CutBefore:
		if held != nil {
			held()
		}
	case HoldBack:
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
	case CutAfter, Stall:
		_, _ = l.server.Write(packet)
		<-answers
		for f == Stall { // until the client gives up
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
