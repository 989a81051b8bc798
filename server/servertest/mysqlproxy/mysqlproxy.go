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

	mu         sync.Mutex
	conns      map[net.Conn]bool
	silenced   bool // accept connections but send nothing
	delay      time.Duration
	match      string // text in the statements to which faults apply
	faults     []Fault
	faultCount int    // number of faults that have happened
	sendHeld   func() // sends the statement that was held back
	recording  bool
	recorded   []string
}

// New starts a proxy in front of a database and returns it with the URL of the database through the
// proxy. If record is set, the proxy records the statements.
func New(database string, record bool) (*Proxy, string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return nil, "", err
	}
	p := &Proxy{upstream: u.Host, conns: map[net.Conn]bool{}, recording: record}
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
	p.silenced = false
	p.mu.Unlock()
	p.Cut()
	_ = p.listener.Close()
	return p.listen(p.listener.Addr().String())
}

// Silence accepts connections but sends nothing on them or on the open ones, until Back.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silenced = true
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
	p.match, p.faults, p.faultCount, p.sendHeld = match, faults, 0, nil
}

// FaultCount returns how many of the faults passed to the last Next have happened.
func (p *Proxy) FaultCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faultCount
}

// Statements returns the statements since the previous call, without their values.
func (p *Proxy) Statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.recorded
	p.recorded = nil
	return list
}

var literals = regexp.MustCompile(`(?s)(_binary ?)?'(\\.|''|[^'\\])*'|\b\d+(\.\d+)?\b|\bNULL\b|\b(true|false)\b`)

func (p *Proxy) fault(statement []byte) (Fault, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	setUp := bytes.HasPrefix(statement, []byte("SET ")) // configures a new connection
	if p.recording && statement != nil && !setUp {
		p.recorded = append(p.recorded, literals.ReplaceAllString(string(statement), "?"))
	}
	if len(p.faults) == 0 || setUp || !bytes.Contains(statement, []byte(p.match)) {
		return None, nil
	}
	f := p.faults[0]
	p.faults = p.faults[1:]
	p.faultCount++
	return f, p.sendHeld
}

func (p *Proxy) track(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *Proxy) closeConn(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) currentDelay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func (p *Proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silenced
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
	p.track(client)
	if p.isSilent() {
		return
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	p.track(server)
	l := &link{Proxy: p, client: client, server: server, statements: map[uint32][]byte{}}
	l.run()
}

func (l *link) run() {
	done := make(chan struct{})
	defer func() {
		close(done)
		l.closeConn(l.client)
		l.closeConn(l.server)
	}()
	questions, answers := make(chan []byte), make(chan []byte)
	go pump(done, questions, func() ([]byte, error) { return readPacket(l.client) })
	go pump(done, answers, func() ([]byte, error) { return readSome(l.server) })
	for {
		select {
		case answer, ok := <-answers:
			if !ok || !l.forwardAnswer(answer) {
				return
			}
		case packet, ok := <-questions:
			if !ok || !l.forwardPacket(packet, answers) {
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

// forwardAnswer forwards data of the server, and records the number of a statement that has just
// been prepared. It reports whether the connection stays open.
func (l *link) forwardAnswer(data []byte) bool {
	if l.isSilent() {
		return true
	}
	if l.preparing != nil && len(data) >= 9 && data[4] == 0 {
		l.statements[binary.LittleEndian.Uint32(data[5:9])] = l.preparing
	}
	l.preparing = nil
	_, err := l.client.Write(data)
	return err == nil
}

// forwardPacket forwards a packet, unless a fault applies to its statement. It reports whether the
// connection stays open.
func (l *link) forwardPacket(packet []byte, answers <-chan []byte) bool {
	if l.isSilent() {
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
		l.inject(f, held, packet, answers)
		return false
	}
	time.Sleep(l.currentDelay())
	_, err := l.server.Write(packet)
	return err == nil
}

// inject ends the connection with the fault.
func (l *link) inject(f Fault, held func(), packet []byte, answers <-chan []byte) {
	switch f {
	case None:
	case CutBefore:
		if held != nil {
			held()
		}
	case HoldBack:
		sent := make(chan struct{})
		executed := make(chan struct{})
		l.mu.Lock()
		l.sendHeld = func() { close(sent); <-executed }
		l.mu.Unlock()
		_ = l.client.Close()
		<-sent
		_, _ = l.server.Write(packet)
		<-answers
		close(executed)
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
