package accounts_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// node is a node of the cluster that scripts/with-galera.sh started, and the replica that uses it.
type node struct {
	t       *testing.T
	dir     string
	replica *servertest.Server
}

// onCluster starts a replica for each node.
func onCluster(t *testing.T) (*site, []*node) {
	t.Helper()
	dir := os.Getenv("TEST_GALERA_DIR")
	if dir == "" {
		t.Skip("there is no cluster: make test-galera")
	}
	dirs, err := filepath.Glob(filepath.Join(dir, "node*"))
	must(t, err)
	s := newSite(t, servertest.MySQL, len(dirs))
	var nodes []*node
	for _, r := range s.replicas {
		for _, dir := range dirs {
			url, err := os.ReadFile(filepath.Join(dir, "url"))
			must(t, err)
			if strings.Contains(string(url), "@"+r.Config.Database.Host+"/") {
				nodes = append(nodes, &node{t: t, dir: dir, replica: r})
			}
		}
	}
	if len(nodes) != len(dirs) {
		t.Fatalf("got %d replicas at %d nodes", len(nodes), len(dirs))
	}
	return s, nodes
}

func (n *node) signal(signal syscall.Signal) {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "pid"))
	must(n.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(n.t, err)
	must(n.t, syscall.Kill(pid, signal))
}

// start starts a node that was killed, and returns when it is synchronized.
func (n *node) start() {
	n.t.Helper()
	if text, err := exec.Command(filepath.Join(n.dir, "start")).CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, text)
	}
}

// inStep waits until the cluster answers at every node.
func (s *site) inStep() {
	s.t.Helper()
	for _, door := range s.db.BackDoors() {
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			var name, ready string
			err := door.QueryRowContext(ctx, "SHOW STATUS LIKE 'wsrep_ready'").Scan(&name, &ready)
			cancel()
			if err == nil && ready == "ON" {
				break
			}
			if time.Since(began) > time.Minute {
				s.t.Fatalf("the cluster has not recovered: wsrep_ready is %q, %v", ready, err)
			}
		}
	}
}

// guests are clients of every replica that continue through all failures and check their answers.
type guests struct {
	t       *testing.T
	end     context.CancelFunc
	wait    sync.WaitGroup
	mu      sync.Mutex
	clients []*servertest.Client
	told    map[string]map[int]int // by replica: the number of answers with each status
}

func (s *site) invite(nodes []*node) *guests {
	ctx, end := context.WithCancel(context.Background())
	g := &guests{t: s.t, end: end, told: map[string]map[int]int{}}
	s.t.Cleanup(g.leave)
	for _, n := range nodes {
		for _, tr := range transports {
			c := s.login(tr).Copy().At(n.replica)
			g.clients = append(g.clients, c)
			g.wait.Go(func() {
				for ctx.Err() == nil {
					g.ask(n, c, http.MethodGet, "/accounts/profile", nil)
					g.ask(n, c, http.MethodPost, "/accounts/refresh_token", c.RefreshBody())
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		g.wait.Go(func() {
			for ctx.Err() == nil {
				c := n.replica.Anonymous()
				if g.ask(n, c, http.MethodPost, "/accounts/login", map[string]any{"username": s.user.Username, "password": s.user.Password, "token_transport": token.Body}) == http.StatusOK {
					g.ask(n, c, http.MethodPost, "/accounts/logout", c.RefreshBody())
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	return g
}

// ask sends a request and accepts success, or a 503 with Retry-After, within the time for answers.
func (g *guests) ask(n *node, c *servertest.Client, method, path string, body any) int {
	began := time.Now()
	r, err := c.Try(method, path, body)
	took := time.Since(began)
	if err != nil {
		g.t.Errorf("%s %s: %v", method, path, err)
		return 0
	}
	if took > answers {
		g.t.Errorf("%s %s at %s: got %d only after %v", method, path, filepath.Base(n.dir), r.Status, took)
	}
	switch r.Status {
	case http.StatusOK, http.StatusNoContent:
	case http.StatusServiceUnavailable:
		wantUnavailable(g.t, r)
	default:
		g.t.Errorf("%s %s at %s: got %d %s", method, path, filepath.Base(n.dir), r.Status, r.Code())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	name := filepath.Base(n.dir)
	if g.told[name] == nil {
		g.told[name] = map[int]int{}
	}
	g.told[name][r.Status]++
	return r.Status
}

// served returns how many answers with the status the guests of each node got since the last call.
func (g *guests) served(status int) map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := map[string]int{}
	for name, told := range g.told {
		list[name] = told[status]
	}
	g.told = map[string]map[int]int{}
	return list
}

func (g *guests) leave() { g.end(); g.wait.Wait() }

// A node is killed. Clients of the other nodes continue. Its own clients are answered with 503 and
// continue when it is back.
func TestClusterContinuesWithoutOneNode(t *testing.T) {
	s, nodes := onCluster(t)
	g := s.invite(nodes)
	victim := nodes[1]
	victim.signal(syscall.SIGKILL)
	time.Sleep(7 * time.Second) // the other nodes exclude it after 5 seconds
	g.served(http.StatusOK)
	time.Sleep(time.Second)
	for name, n := range g.served(http.StatusOK) {
		if dead := name == filepath.Base(victim.dir); dead != (n == 0) {
			t.Errorf("%s sent %d successful responses while %s was down", name, n, filepath.Base(victim.dir))
		}
	}
	victim.start()
	s.inStep()
	time.Sleep(recovers)
	g.served(http.StatusOK)
	time.Sleep(time.Second)
	if told := g.served(http.StatusOK); len(told) != len(nodes) || told[filepath.Base(victim.dir)] == 0 {
		t.Errorf("successful responses after the recovery: got %v, want some of each node", told)
	}
	g.leave()
	for _, c := range g.clients {
		c.Profile().Want(t, http.StatusOK, "")
	}
}

// Two of three nodes do not answer. The third has no quorum and returns error 1047. Clients get
// only 503, and no acknowledged revocation is lost.
func TestClusterWithoutQuorumIsUnavailable(t *testing.T) {
	s, nodes := onCluster(t)
	g := s.invite(nodes)
	out := s.login(token.Body).At(nodes[0].replica)
	out.Copy().Logout().Want(t, http.StatusNoContent, "")
	for _, n := range nodes[1:] {
		n.signal(syscall.SIGSTOP)
	}
	goOn := sync.OnceFunc(func() {
		for _, n := range nodes[1:] {
			n.signal(syscall.SIGCONT)
		}
	})
	t.Cleanup(goOn)
	time.Sleep(9 * time.Second)
	g.served(http.StatusOK)
	time.Sleep(time.Second)
	for name, n := range g.served(http.StatusOK) {
		if n > 0 {
			t.Errorf("%s sent %d successful responses without a quorum", name, n)
		}
	}
	wantUnavailable(t, out.Profile())
	goOn()
	s.inStep()
	time.Sleep(recovers)
	g.leave()
	for _, c := range g.clients {
		c.Profile().Want(t, http.StatusOK, "")
	}
	for _, n := range nodes {
		out.At(n.replica).Profile().Want(t, http.StatusUnauthorized, revoked)
	}
}

// All writes of one user's rows run at every node at once. Certification rolls back the losing
// transactions, and the server repeats them or answers 503, but never 500.
func TestClusterConflictsCauseNoInternalError(t *testing.T) {
	s, nodes := onCluster(t)
	var wait sync.WaitGroup
	end := time.Now().Add(4 * time.Second)
	var mu sync.Mutex
	statuses := map[string]int{}
	var clients []*servertest.Client
	for _, n := range nodes {
		clients = append(clients, s.login(token.Body).At(n.replica))
	}
	for i, c := range clients {
		wait.Go(func() {
			for j := 0; time.Now().Before(end); j++ {
				for _, call := range []func() *servertest.Response{
					func() *servertest.Response {
						return c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": s.user.Username, "password": s.user.Password, "token_transport": token.Body})
					},
					func() *servertest.Response {
						return c.Do(http.MethodPatch, "/accounts/profile", map[string]any{"first_name": fmt.Sprintf("Ada %d %d", i, j)})
					},
					func() *servertest.Response { return c.RefreshTokens() },
					func() *servertest.Response {
						return c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil)
					},
				} {
					r := call()
					if r.Status >= 500 && r.Status != http.StatusServiceUnavailable {
						t.Errorf("%d %s", r.Status, r.Raw)
					}
					mu.Lock()
					statuses[fmt.Sprint(r.Status, " ", r.Code())]++
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	t.Log(statuses)
	if statuses["200 "] == 0 || statuses["204 "] == 0 {
		t.Errorf("%v", statuses)
	}
}

// A user is deleted on one node while another node writes events of that user. Certification
// accepts one of the two, and the other is repeated. No event remains of the deleted user.
func TestClusterKeepsNoEventsOfDeletedUser(t *testing.T) {
	s, nodes := onCluster(t)
	for range 60 {
		u := s.replicas[0].NewUser()
		e := models.Event{ID: uuid.Must(uuid.NewV7()), UserID: u.ID, Kind: models.EventLoginFailed, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := nodes[0].replica.Store.Tx(context.Background(), func(tx *models.Tx) error { return accounts.DeleteUser(tx, u.User, nil) }); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if err := nodes[1].replica.Store.AddEvents(context.Background(), e); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
	}
	if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE user_id NOT IN (SELECT id FROM users)"); n != 0 {
		t.Errorf("%d events of deleted users are left, want 0", n)
	}
}
