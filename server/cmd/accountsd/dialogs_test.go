package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/accounts/server/servertest"
)

// runDialog runs the script testdata/dialogs/NAME.txt, a dialog of an operator with the program,
// in an environment as [newShell] makes it. Scripts have the commands of testscript and
//
//	accountsd [NAME=VALUE ...] [<FILE] ARG...
//
// which runs the program with additional settings and a file as its standard input. The program
// must succeed without errors, or fail with exit status 1 or 2 and without output after "!". The line
// about the database is not part of standard error. DATA is the
// data directory and SECRET a valid secret.
func runDialog(t *testing.T, name string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Files: []string{filepath.Join("testdata", "dialogs", name+".txt")},
		Setup: func(env *testscript.Env) error {
			s := newShell(t)
			env.Values[shellKey{}] = s
			env.Setenv("DATA", s.dir)
			env.Setenv("SECRET", servertest.SecretKey)
			for _, n := range []int{257, 10000} {
				file := filepath.Join(env.WorkDir, map[bool]string{true: "long", false: "very_long"}[n < 1000])
				if err := os.WriteFile(file, []byte(strings.Repeat("x", n)+"\n"), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"accountsd": runInDialog},
	})
}

// shellKey is the key of a script's shell.
type shellKey struct{}

func runInDialog(script *testscript.TestScript, fails bool, args []string) {
	s := script.Value(shellKey{}).(*shell)
	p := process{env: s.env, in: strings.NewReader("")}
	for len(args) > 0 && strings.HasPrefix(args[0], "ACCOUNTS_") {
		p.env, args = append(p.env[:len(p.env):len(p.env)], args[0]), args[1:]
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "<") {
		p.in, args = strings.NewReader(script.ReadFile(args[0][1:])), args[1:]
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	var out, err bytes.Buffer
	p.args, p.out, p.err = args, &out, &err
	code := run(ctx, p)
	_, _ = script.Stdout().Write(out.Bytes())
	faults, _ := cutDatabase(err.String())
	_, _ = script.Stderr().Write([]byte(faults))
	switch {
	case fails && (code != exitFailed && code != exitUsage || out.Len() > 0):
		script.Fatalf("got exit status %d and %d bytes of output, want 1 or 2 and none", code, out.Len())
	case !fails && (code != 0 || faults != ""):
		script.Fatalf("got exit status %d and these errors, want 0 and none\n%s", code, faults)
	}
}

func TestUserCreateValidatesInput(t *testing.T) {
	runDialog(t, "user_create")
	s := newShell(t) // a script cannot contain a line break in an argument
	s.wantRefused(s.run(goodPassword+"\n", "user", "create", "--username", "bob", "--email", "bob@example.com", "--first-name", "B\nBcc:", "--password-stdin"), "the first name is not valid")
	if n := strings.Count(s.mustRun("", "user", "list"), "\n"); n != 1 {
		t.Errorf("got %d lines, want 1: a rejected user was created", n)
	}
}

// A secret that others can read or write is not secret: the server does not start until the mode of
// the file is right.
func TestSecretFileReadableByOthersIsRejected(t *testing.T) {
	t.Attr("control", "94")
	runDialog(t, "secret_file_mode")
}

func TestInvalidSecretFileIsRejected(t *testing.T) {
	t.Attr("control", "94")
	runDialog(t, "invalid_secret_file")
}

// Every error is printed on a line of its own.
func TestErrorsArePrintedOnePerLine(t *testing.T) {
	t.Attr("control", "94")
	runDialog(t, "errors")
}

func TestSecretKeyNotGeneratedIsRejected(t *testing.T) {
	t.Attr("control", "94")
	runDialog(t, "invented_secret_key")
}

// Plain http is rejected unless the host is on loopback, because cookies would lose their prefix
// and Secure. The server does not start and creates no files.
func TestPlainHTTPBeyondLoopbackIsRejected(t *testing.T) {
	t.Attr("control", "39")
	runDialog(t, "plain_http")
}

func TestOperatorCannotUseLookAlikeDomain(t *testing.T) {
	t.Attr("control", "203")
	runDialog(t, "look_alike_domain")
}
