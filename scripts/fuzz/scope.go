package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// scope is as much of a testing.TB as a test server asks for: what it starts ends with the scope, and what goes wrong in
// it is an error of whoever runs it.
type scope struct {
	testing.TB // nil: what is not written below nobody asks for
	*scopeState
}

type scopeState struct {
	cleanups []func()
	faults   []error
}

// fatal is what Fatal ends the scope with.
type fatal struct{ error }

// within runs f in a scope of its own.
func within(f func(t scope) error) (err error) {
	t := scope{scopeState: &scopeState{}}
	defer func() {
		for i := len(t.cleanups) - 1; i >= 0; i-- {
			t.cleanups[i]()
		}
		err = errors.Join(append([]error{err}, t.faults...)...)
	}()
	defer func() {
		switch v := recover().(type) {
		case nil:
		case fatal:
			err = v.error
		default:
			panic(v)
		}
	}()
	return f(t)
}

func (t scope) Helper()          {}
func (t scope) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t scope) Fatal(args ...any) {
	panic(fatal{errors.New(fmt.Sprint(args...))})
}
func (t scope) Fatalf(format string, args ...any) { panic(fatal{fmt.Errorf(format, args...)}) }
func (t scope) Errorf(format string, args ...any) {
	t.faults = append(t.faults, fmt.Errorf(format, args...))
}

// TempDir is in memory where there is such a folder: what is looked for is no fault of a disk.
func (t scope) TempDir() string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "accounts-fuzz-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// check is the rapid.TB of one search, which asks it to remember that it has failed, and for nothing else.
type check struct {
	testing.TB
	failed bool
}

type stopped struct{}

func (*check) Helper()                 {}
func (*check) Name() string            { return "fuzz" }
func (*check) Logf(string, ...any)     {}
func (*check) Log(...any)              {}
func (c *check) Errorf(string, ...any) { c.failed = true }
func (c *check) Error(...any)          { c.failed = true }
func (c *check) Fail()                 { c.failed = true }
func (c *check) Failed() bool          { return c.failed }
func (c *check) FailNow()              { panic(stopped{}) }
