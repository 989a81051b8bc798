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

	mustExist bool // the command does not create the database file; see findDatabase
}

const rootHelp = `An OpenAPI-first accounts and authentication server, with commands to administer it.

Every command reads the settings ACCOUNTS_... from the environment. A command that opens the database prints on standard
error which one it uses.

The exit status is 0 after success, 1 after an error, and 2 if the command line is not valid.`

// The exit statuses after errors. A script must be able to tell a mistyped command, which has done
// nothing, from a command that has failed.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error in the command line.
type usageError struct{ error }

// run runs the program. It returns the exit status: 0, or another one after printing one line for
// each error.
func run(ctx context.Context, p process) int {
	root := &cobra.Command{
		Use:                "accountsd",
		Short:              "An OpenAPI-first accounts and authentication server",
		Long:               rootHelp,
		SilenceUsage:       true,
		SilenceErrors:      true,
		DisableSuggestions: true, // they take several lines
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	users := &userCommands{process: p}
	root.AddCommand(p.serve(), p.migrate(), users.command(), importCommand{p}.command(), p.breachedPasswords(), p.secret(), p.settings(), p.healthcheck(), p.version())
	root.AddCommand(backupCommand{p}.command(), mailCommands{p}.command(), doctorCommand{p}.command())
	root.SetArgs(p.args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	started := false
	reportStart(root, &started)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = usageError{fmt.Errorf("%w: run \"%s --help\"", err, c.CommandPath())}
	}
	return exitStatus(err, p.err)
}

// reportStart makes the commands below c, and c itself, set started when they begin, which is after
// the command line has been checked. A command that only has subcommands prints its help. Without
// that, cobra would also print the help of such a command for an unknown subcommand, and succeed.
func reportStart(c *cobra.Command, started *bool) {
	for _, each := range c.Commands() {
		reportStart(each, started)
	}
	begin := c.RunE
	if begin == nil {
		begin = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		*started = true
		return begin(c, args)
	}
}

// exitStatus prints the errors, one per line, and returns the exit status.
func exitStatus(err error, out io.Writer) int {
	if err == nil {
		return 0
	}
	for _, fault := range faults(err) {
		_, _ = fmt.Fprintln(out, "accountsd: "+fault.Error())
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
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
