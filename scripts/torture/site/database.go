package site

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/glebarez/go-sqlite" // registers the driver "sqlite"
	"github.com/go-sql-driver/mysql"

	"example.com/accounts/scripts/harness"
)

// Database is the database of the replicas. SQL connects to it directly, bypassing every proxy.
type Database struct {
	SQL  *sql.DB
	urls []string // one per replica, or one for all
	own  *mysqld  // nil: started elsewhere, never killed
	dirs []string // of the nodes of a cluster, created by scripts/with-galera.sh
}

// mysqld is a MySQL or MariaDB server that this program starts and kills. It keeps its data across
// restarts.
type mysqld struct {
	dir, port string
	mu        sync.Mutex
	command   *exec.Cmd
}

// openDatabase creates a database in dir: a SQLite file, or a server that scripts/with-mysql.sh
// starts. With urls, it uses running servers instead, for instance a cluster with a URL for each
// node.
func openDatabase(ctx context.Context, engine, dir string, urls []string) (*Database, error) {
	switch {
	case engine == "sqlite":
		path := filepath.Join(inMemory(dir), "accounts.db")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
		return &Database{SQL: db, urls: []string{"sqlite:" + path}}, err
	case engine == "galera":
		return openCluster()
	case len(urls) > 0:
		db, err := dial(urls[0], "")
		return &Database{SQL: db, urls: urls}, err
	}
	addr, err := harness.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	own := &mysqld{dir: filepath.Join(dir, "mysql"), port: port}
	at, err := own.start()
	if err != nil {
		return nil, err
	}
	db, err := dial(at, "")
	return &Database{SQL: db, urls: []string{at}, own: own}, err
}

// inMemory returns a folder in memory if there is /dev/shm, because the torture does not test the
// disk. Data there survives the process that wrote it.
func inMemory(dir string) string {
	if os.Mkdir(memoryOf(dir), 0o700) != nil {
		return dir
	}
	return memoryOf(dir)
}

func memoryOf(dir string) string { return filepath.Join("/dev/shm", filepath.Base(dir)) }

// openCluster reads the nodes from the environment that scripts/with-galera.sh sets.
func openCluster() (*Database, error) {
	urls := strings.Fields(os.Getenv("TEST_GALERA_URLS"))
	if len(urls) == 0 {
		return nil, errors.New("TEST_GALERA_URLS is not set: run make torture ENGINE=galera, or scripts/with-galera.sh")
	}
	d := &Database{urls: urls}
	for n := range urls {
		d.dirs = append(d.dirs, filepath.Join(os.Getenv("TEST_GALERA_DIR"), fmt.Sprintf("node%d", n+1)))
	}
	var err error
	d.SQL, err = dial(urls[0], "7") // reads wait for commits of other nodes
	return d, err
}

// killNode kills a node with SIGKILL, waits, and starts it again.
func (d *Database) killNode(n int, down time.Duration) error {
	if err := signalOf(filepath.Join(d.dirs[n], "pid"), syscall.SIGKILL); err != nil {
		return err
	}
	time.Sleep(down)
	if out, err := exec.CommandContext(context.Background(), filepath.Join(d.dirs[n], "start")).CombinedOutput(); err != nil {
		return fmt.Errorf("node %d does not restart: %w\n%s", n+1, err, out)
	}
	return nil
}

func dial(at, syncWait string) (*sql.DB, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName, c.ParseTime, c.Loc = u.User.Username(), "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), true, time.UTC
	c.Passwd, _ = u.User.Password()
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	if syncWait != "" {
		c.Params["wsrep_sync_wait"] = syncWait
	}
	c.Logger = discardLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

type discardLogger struct{}

func (discardLogger) Print(...any) {}

// start starts the server and returns its URL when it is ready.
func (m *mysqld) start() (string, error) {
	c := exec.Command("scripts/with-mysql.sh", "--fast", "--keep", m.dir, "--port", m.port) //nolint:noctx // ended by stop
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                                     // protect it from Ctrl-C
	out, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	log, err := os.OpenFile(m.dir+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	c.Stderr = log
	if err := c.Start(); err != nil {
		return "", err
	}
	m.mu.Lock()
	m.command = c
	m.mu.Unlock()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		text, _ := os.ReadFile(m.dir + ".log") // only for the message
		return "", fmt.Errorf("the database server did not start: %w\n%s", errors.Join(err, c.Wait()), text)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return strings.TrimSpace(line), nil
}

func (m *mysqld) signal(s syscall.Signal) error {
	return signalOf(filepath.Join(m.dir, "server.pid"), s)
}

func signalOf(pidFile string, s syscall.Signal) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

// kill kills the server with SIGKILL and waits until it has ended.
func (m *mysqld) kill() error {
	if err := m.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = m.command.Wait() // the script ends after the server
	return nil
}

func (m *mysqld) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.command.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = m.command.Wait()
}

// close stops the database if this program started it.
func (d *Database) close() error {
	err := d.SQL.Close()
	if d.own != nil {
		d.own.stop()
	}
	return err
}

// Hold locks every session for some time, as a careless migration or a backup does. On MySQL, the
// connection pools of the replicas run out during this time.
func (d *Database) Hold(ctx context.Context, long time.Duration) error {
	tx, err := d.SQL.BeginTx(ctx, nil) // BEGIN IMMEDIATE on SQLite
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if d.urls[0][:6] != "sqlite" {
		var n int64
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT id FROM sessions FOR UPDATE) locked").Scan(&n); err != nil {
			return err
		}
	}
	time.Sleep(long)
	return nil
}
