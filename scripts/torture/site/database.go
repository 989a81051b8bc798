package site

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver "sqlite"
	"github.com/go-sql-driver/mysql"
)

// Database is what the replicas work on. SQL is a back door to it, past every proxy.
type Database struct {
	SQL  *sql.DB
	urls []string // one a replica, or one for all
	own  *mysqld  // nil: not ours to kill
	dirs []string // of the nodes of a cluster, as scripts/with-galera.sh lays them out
}

// mysqld is a MySQL or MariaDB server of our own, which can be killed and comes back with what it had.
type mysqld struct {
	dir, port string
	mu        sync.Mutex
	command   *exec.Cmd
}

// openDatabase makes a database in dir: a file of SQLite's, or a server that scripts/with-mysql.sh starts. With urls it
// is one that runs already, for instance a cluster with a URL for each node.
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
	port, err := freePort(ctx)
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

// inMemory is a folder in memory where there is such a thing: what is looked for is no fault of a disk. What a process
// has written there outlives it.
func inMemory(dir string) string {
	if os.Mkdir(memoryOf(dir), 0o700) != nil {
		return dir
	}
	return memoryOf(dir)
}

func memoryOf(dir string) string { return filepath.Join("/dev/shm", filepath.Base(dir)) }

// openCluster finds the nodes in what scripts/with-galera.sh says of them.
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
	d.SQL, err = dial(urls[0], "7") // reads wait for what other nodes have committed
	return d, err
}

// killNode is kill -9 of a node, and its return to the cluster.
func (d *Database) killNode(n int, down time.Duration) error {
	if err := signalOf(filepath.Join(d.dirs[n], "pid"), syscall.SIGKILL); err != nil {
		return err
	}
	time.Sleep(down)
	if out, err := exec.Command(filepath.Join(d.dirs[n], "start")).CombinedOutput(); err != nil {
		return fmt.Errorf("node %d does not come back: %w\n%s", n+1, err, out)
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
	c.Logger = quiet{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

type quiet struct{}

func (quiet) Print(...any) {}

// start runs the script until the server answers, and says where.
func (m *mysqld) start() (string, error) {
	c := exec.Command("scripts/with-mysql.sh", "--fast", "--keep", m.dir, "--port", m.port) // ended by stop
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                                     // Ctrl-C is for us, and we stop it
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
		text, _ := os.ReadFile(m.dir + ".log") // for the message alone
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

// kill is kill -9, and returns when the server has gone.
func (m *mysqld) kill() error {
	if err := m.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = m.command.Wait() // the script says that the server has ended
	return nil
}

func (m *mysqld) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.command.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = m.command.Wait()
}

// close ends the database, if it is ours.
func (d *Database) close() error {
	err := d.SQL.Close()
	if d.own != nil {
		d.own.stop()
	}
	return err
}

// Hold locks every session for so long, as a careless migration or a backup does: on MySQL the replicas' pools run dry
// meanwhile.
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
