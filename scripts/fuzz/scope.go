package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// scope implements the part of testing.TB that a test server uses. Cleanups run when the scope
// ends, and test errors become the error of [runInScope].
type scope struct {
	testing.TB // nil: methods that are not implemented below are not called
	*scopeState
}

type scopeState struct {
	cleanups []func()
	faults   []error
}

// fatal is the panic value of Fatal.
type fatal struct{ error }

// runInScope runs f in a new scope.
func runInScope(f func(t scope) error) (err error) {
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

// TempDir returns a folder in memory where /dev/shm exists, because the fuzzer does not test the
// disk.
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

// check is the rapid.TB of one search. It only records a failure.
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
