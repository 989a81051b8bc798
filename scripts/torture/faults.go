package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/scripts/torture/site"
	"example.com/accounts/server/servertest/mysqlproxy"
)

// fault is a fault of one server, or of all if server is -1. It is over when do returns.
type fault struct {
	name   string
	server int
	do     func(ctx context.Context) error
	ahead  time.Duration // how far the clock is ahead
}

const (
	storm = 20 * time.Second // how long faults occur
	calm  = 8 * time.Second  // the pause between storms: longer than a server may take to recover
)

// injectFaults draws faults from the seed, in two lanes: one for the processes of the replicas, the
// other for the database and the connections to it. Both pause at the same time, so that effects
// that outlast their fault are visible. The run ends with a pause.
func (t *torture) injectFaults(ctx context.Context, d time.Duration, seed uint64) error {
	end := time.Now().Add(d - calm)
	for time.Now().Before(end) && ctx.Err() == nil {
		until := time.Now().Add(storm)
		if left := time.Until(end); left < storm+calm+storm/2 { // too short for another storm
			until = end
		}
		var lanes sync.WaitGroup
		for lane, draw := range []func(*rand.Rand) fault{t.drawReplicaFault, t.drawDatabaseFault} {
			random := rand.New(rand.NewPCG(seed, uint64(lane)))
			lanes.Go(func() {
				for time.Now().Before(until) && ctx.Err() == nil && t.failed() == nil {
					t.inject(ctx, draw(random))
					pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
				}
			})
			seed++
		}
		lanes.Wait()
		pause(ctx, calm)
	}
	return t.failed()
}

func (t *torture) inject(ctx context.Context, f fault) {
	e := history.Event{Begin: t.record.Now(), Fault: &history.Fault{Name: f.name, Server: f.server, By: f.ahead.Microseconds()}}
	if err := f.do(ctx); err != nil && ctx.Err() == nil {
		t.fail(fmt.Errorf("%s: %w", f.name, err))
	}
	e.End = t.record.Now()
	t.record.Add(e)
	t.countFault(f.name)
}

// recordStalls records when this machine or its disk stalls, because servers have to recover from
// that as from any fault.
func (t *torture) recordStalls(ctx context.Context) {
	const every = 100 * time.Millisecond
	long := every + t.site.Config.Margin()*3/4
	file, err := os.Create(filepath.Join(t.site.Dir, "stalls"))
	if err != nil {
		t.fail(err)
		return
	}
	defer func() { _ = file.Close() }()
	for ctx.Err() == nil {
		began := t.record.Now()
		pause(ctx, every)
		if _, err := file.WriteAt([]byte("x"), 0); err != nil {
			t.fail(err)
			return
		}
		_ = file.Sync() // a file system without sync does not stall
		if now := t.record.Now(); now-began > long.Microseconds() {
			t.record.Add(history.Event{Begin: began, End: now, Fault: &history.Fault{Name: "stalled machine", Server: -1}})
			t.countFault("stalled machine")
		}
	}
}

func millis(r *rand.Rand, least, most int) time.Duration {
	return time.Duration(least+r.IntN(most-least)) * time.Millisecond
}

func (t *torture) drawReplicaFault(r *rand.Rand) fault {
	replica := t.site.Replicas[r.IntN(len(t.site.Replicas))]
	wait, long := millis(r, 1, 800), millis(r, 200, 1000+1500*len(t.site.Replicas))
	switch n := r.IntN(20); {
	case n < 12:
		return fault{name: "killed replica", server: replica.Number, do: func(ctx context.Context) error {
			replica.Kill()
			t.site.Kills.Add(1)
			time.Sleep(wait)
			return replica.Start(ctx)
		}}
	case n < 15:
		return fault{name: history.Stopped, server: replica.Number, do: func(context.Context) error {
			replica.Signal(syscall.SIGSTOP)
			time.Sleep(long)
			replica.Signal(syscall.SIGCONT)
			return nil
		}}
	case n < 16:
		return fault{name: "restarted replica", server: replica.Number, do: func(ctx context.Context) error {
			replica.Terminate()
			return replica.Start(ctx)
		}}
	case n < 18 && replica.Proxy != nil: // SQLite has no clock of its own to differ from
		by := t.site.Config.Margin() + millis(r, 0, 4000)
		if r.IntN(2) == 0 {
			by = -by
		}
		return fault{name: "wrong clock", server: replica.Number, do: func(context.Context) error {
			replica.Clock(by)
			time.Sleep(long)
			replica.Clock(0)
			return nil
		}, ahead: by}
	}
	return fault{name: "rolling restart with a new secret", server: -1, do: func(ctx context.Context) error { return t.site.RotateSecrets(ctx) }}
}

func (t *torture) drawDatabaseFault(r *rand.Rand) fault {
	long := millis(r, 100, 3000)
	if t.site.Replicas[0].Proxy == nil || r.IntN(9) == 0 {
		return fault{name: "locked rows", server: -1, do: func(ctx context.Context) error {
			_ = t.site.Database.Hold(ctx, long) // the database may be down
			return nil
		}}
	}
	if nodes := t.site.Nodes(); nodes > 0 {
		n := r.IntN(nodes)
		switch r.IntN(9) {
		case 0, 1:
			return fault{name: "killed node", server: -1, do: func(context.Context) error { return t.site.KillNode(n, long) }}
		case 2:
			return fault{name: "stopped node", server: -1, do: func(context.Context) error { return t.site.StopNode(n, long) }}
		}
	}
	if t.site.CanKillDatabase() {
		switch r.IntN(9) {
		case 0, 1:
			return fault{name: "killed database", server: -1, do: func(context.Context) error { return t.site.KillDatabase(long / 3) }}
		case 2:
			return fault{name: "stopped database", server: -1, do: func(context.Context) error { return t.site.StopDatabase(long) }}
		}
	}
	replica := t.site.Replicas[r.IntN(len(t.site.Replicas))]
	return drawConnectionFault(r, replica, long)
}

// drawConnectionFault draws a fault of the connections between a replica and the database.
func drawConnectionFault(r *rand.Rand, replica *site.Replica, long time.Duration) fault {
	p := replica.Proxy
	lasting := func(begin func()) func(context.Context) error {
		return func(context.Context) error {
			begin()
			time.Sleep(long)
			p.Delay(0)
			p.Next("") // cancel the faults that have not occurred
			return p.Back()
		}
	}
	once := func(f func()) func(context.Context) error {
		return func(context.Context) error { f(); return nil }
	}
	slow := millis(r, 20, 400)
	match := []string{"COMMIT", "SET generation = generation + 1", "SET last_used_at", "SET revoked_at", "INSERT INTO sessions"}[[]int{0, 0, 1, 1, 2, 3, 4}[r.IntN(7)]]
	lost := [][]mysqlproxy.Fault{
		{mysqlproxy.CutAfter, mysqlproxy.CutAfter, mysqlproxy.CutAfter}, {mysqlproxy.CutAfter, mysqlproxy.CutBefore}, {mysqlproxy.Stall, mysqlproxy.CutAfter, mysqlproxy.Stall},
		{mysqlproxy.HoldBack, mysqlproxy.CutBefore}, {mysqlproxy.CutBefore, mysqlproxy.CutBefore, mysqlproxy.CutBefore, mysqlproxy.CutBefore},
	}[r.IntN(5)]
	switch n := r.IntN(12); {
	case n < 1:
		return fault{name: "cut connections", server: replica.Number, do: once(p.Cut)}
	case n < 2:
		return fault{name: "half-closed connections", server: replica.Number, do: once(p.HalfClose)}
	case n < 3:
		return fault{name: "refused connections", server: replica.Number, do: lasting(p.Away)}
	case n < 4:
		return fault{name: "silent database", server: replica.Number, do: lasting(p.Silence)}
	case n < 6:
		return fault{name: "slow database", server: replica.Number, do: lasting(func() { p.Delay(slow) })}
	}
	return fault{name: "lost answers to " + match, server: replica.Number, do: lasting(func() { p.Next(match, lost...) })}
}
