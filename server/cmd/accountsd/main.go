// Command accountsd is the accounts server, with commands to administer it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, process{args: os.Args[1:], env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// process is the environment of a command. Tests use their own.
type process struct {
	args     []string
	env      []string
	in       io.Reader
	out, err io.Writer
}

// run runs the program. It returns the exit status: 0, or 1 after printing one line for each error.
func run(ctx context.Context, p process) int {
	root := &cobra.Command{
		Use:               "accountsd",
		Short:             "An OpenAPI-first accounts and authentication server",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(backupCommand{p}.command(), mailCommands{p}.command(), doctorCommand{p}.command())
	root.AddCommand(p.serve(), p.migrate(), userCommands{p}.command(), importCommand{p}.command(), p.breachedPasswords(), p.secret(), p.settings(), p.healthcheck(), p.version())
	root.SetArgs(p.args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	if err := root.ExecuteContext(ctx); err != nil {
		for _, fault := range faults(err) {
			_, _ = fmt.Fprintln(p.err, "accountsd: "+fault.Error())
		}
		return 1
	}
	return 0
}

// faults splits joined errors, so that each is printed on its own line.
func faults(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, faults(e)...)
	}
	return list
}
