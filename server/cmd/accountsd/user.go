package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// userCommands holds the commands that manage users. Each reads its arguments, makes one call into
// package accounts, and prints the result.
type userCommands struct {
	process
	json bool
}

func (p *userCommands) command() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Manage users", Long: userHelp, Args: cobra.NoArgs}
	c.PersistentFlags().BoolVar(&p.json, "json", false, "print JSON: the user after the change, or one user per line for list")
	c.AddCommand(p.create(), p.list(), p.show(), p.export(), p.setPassword(), p.setRoles(), p.setEmail(), p.delete(),
		p.change("verify", "Mark the e-mail address of a user as verified", (*accounts.Service).MarkEmailVerified),
		p.change("activate", "Allow a user to log in again", func(s *accounts.Service, ctx context.Context, name string) error { return s.SetActive(ctx, name, true) }),
		p.change("deactivate", "End all sessions of a user and prevent new logins", func(s *accounts.Service, ctx context.Context, name string) error {
			return s.SetActive(ctx, name, false)
		}),
		p.change("end-sessions", "End all sessions of a user", (*accounts.Service).EndSessions),
		p.change("unthrottle", "Reset the rate limits that keep a user from logging in", (*accounts.Service).ResetLoginLimit))
	return c
}

const userHelp = `Manages the users in the database of the server. A running server needs no restart.

USERNAME is the username or the e-mail address of a user. Only "user create" creates a database. The security log records
every change, with the operator as the actor.`

func (p *userCommands) create() *cobra.Command {
	var n accounts.NewUser
	var stdin bool
	c := &cobra.Command{
		Use: "create", Short: "Create an active user with a verified e-mail address", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withApp(c.Context(), func(ctx context.Context, a *app) (err error) {
				if n.Password, err = p.readPassword(stdin); err != nil {
					return err
				}
				u, err := a.service.CreateUser(ctx, n)
				if err != nil {
					return explain(err)
				}
				if p.json {
					return p.printUser(ctx, a, u.ID)
				}
				_, err = fmt.Fprintf(p.out, "user %d: %s <%s>\n", u.ID, u.Username, u.Email)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&n.Username, "username", "", "the username, without @ (required)")
	f.StringVar(&n.Email, "email", "", "the e-mail address (required)")
	f.StringVar(&n.FirstName, "first-name", "", "the first name")
	f.StringVar(&n.LastName, "last-name", "", "the last name")
	f.BoolVar(&n.Staff, "staff", false, "make the user a staff member, who can manage ordinary users")
	f.BoolVar(&n.Superuser, "superuser", false, "make the user a superuser, who has every permission")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input instead of prompting")
	for _, name := range []string{"username", "email"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

// change returns a command that makes a change of one user.
func (p *userCommands) change(use, short string, change func(s *accounts.Service, ctx context.Context, username string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " USERNAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeUser(c.Context(), args[0], func(ctx context.Context, s *accounts.Service) error { return change(s, ctx, args[0]) })
		},
	}
}

// changeUser makes a change of the user with a login name, and prints the user as JSON if required.
// It finds the user first, because the change may be one of the name.
func (p *userCommands) changeUser(ctx context.Context, username string, change func(context.Context, *accounts.Service) error) error {
	return p.withExisting(ctx, func(ctx context.Context, a *app) error {
		u, err := a.service.NamedUser(ctx, username)
		if err != nil {
			return explain(err)
		}
		if err := change(ctx, a.service); err != nil {
			return explain(err)
		}
		if !p.json {
			return nil
		}
		return p.printUser(ctx, a, u.ID)
	})
}

func (p *userCommands) setPassword() *cobra.Command {
	var stdin bool
	c := p.change("set-password", "Set a new password for a user and end all sessions of the user", func(s *accounts.Service, ctx context.Context, username string) error {
		password, err := p.readPassword(stdin)
		if err != nil {
			return err
		}
		return s.SetPassword(ctx, username, password)
	})
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input instead of prompting")
	return c
}

func (p *userCommands) setRoles() *cobra.Command {
	var staff, superuser bool
	c := &cobra.Command{
		Use: "set-roles USERNAME", Short: "Make a user a staff member or a superuser, or take the role away", Args: cobra.ExactArgs(1),
		Long: `Makes a user a staff member or a superuser, or takes the role away. A flag that is not given leaves its role as it is.

A granted role ends all sessions of the user, and requires a verified e-mail address. The last superuser keeps the role.`,
		Example: `  accountsd user set-roles ada --superuser
  accountsd user set-roles ada --superuser=false --staff=false`,
	}
	f := c.Flags()
	f.BoolVar(&staff, "staff", false, "whether the user is a staff member, who can manage ordinary users")
	f.BoolVar(&superuser, "superuser", false, "whether the user is a superuser, who has every permission")
	c.MarkFlagsOneRequired("staff", "superuser")
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.changeUser(c.Context(), args[0], func(ctx context.Context, s *accounts.Service) error {
			return s.SetRoles(ctx, args[0], ifGiven(f, "staff", &staff), ifGiven(f, "superuser", &superuser))
		})
	}
	return c
}

// ifGiven returns the value of a flag, or nil if the command line does not have the flag.
func ifGiven[T any](f *pflag.FlagSet, name string, value *T) *T {
	if f.Changed(name) {
		return value
	}
	return nil
}

func (p *userCommands) setEmail() *cobra.Command {
	return &cobra.Command{
		Use: "set-email USERNAME ADDRESS", Short: "Set the e-mail address of a user, which then counts as verified", Args: cobra.ExactArgs(2),
		Long: `Sets the e-mail address of a user. The address takes effect at once and counts as verified, so make sure that it is the
user's own: its owner can set a new password by mail. The previous address gets a notice if it was verified.`,
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeUser(c.Context(), args[0], func(ctx context.Context, s *accounts.Service) error { return s.SetEmail(ctx, args[0], args[1]) })
		},
	}
}

func (p *userCommands) delete() *cobra.Command {
	var confirmed bool
	c := &cobra.Command{
		Use: "delete USERNAME", Short: "Delete a user and all data of the user permanently", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !confirmed {
				return usageError{errors.New("a deleted user cannot be restored: repeat the command with --yes")}
			}
			return p.withExisting(c.Context(), func(ctx context.Context, a *app) error {
				u, err := a.service.NamedUser(ctx, args[0])
				if err != nil {
					return explain(err)
				}
				if err := a.service.RemoveUser(ctx, args[0]); err != nil || !p.json {
					return explain(err)
				}
				return json.NewEncoder(p.out).Encode(listedUserOf(u))
			})
		},
	}
	c.Flags().BoolVar(&confirmed, "yes", false, "confirm that the user is to be deleted (required)")
	return c
}

func (p *userCommands) export() *cobra.Command {
	return &cobra.Command{
		Use: "export USERNAME", Short: "Print the data stored about a user as JSON, like GET /accounts/profile/export", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withExisting(c.Context(), func(ctx context.Context, a *app) error {
				data, err := a.service.ExportUser(ctx, args[0])
				if err != nil {
					return explain(err)
				}
				return json.NewEncoder(p.out).Encode(server.ProfileExport(data, uuid.Nil))
			})
		},
	}
}

// withExisting does as withApp does, but never creates the database.
func (p *userCommands) withExisting(ctx context.Context, f func(context.Context, *app) error) error {
	existing := p.process
	existing.mustExist = true
	return existing.withApp(ctx, f)
}

func (p process) withApp(ctx context.Context, f func(context.Context, *app) error) (err error) {
	a, err := p.open(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	reportDatabase(p.err, a.cfg)
	return f(ctx, a)
}

const maxPasswordLine = 4096

// readPassword prompts twice on a terminal, or reads a line from standard input. A password is
// never an argument, because every process on the machine can read arguments and the shell stores
// them in its history.
func (p process) readPassword(stdin bool) (string, error) {
	if stdin {
		line, err := bufio.NewReader(io.LimitReader(p.in, maxPasswordLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	file, ok := p.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", errors.New("cannot prompt for the password because standard input is not a terminal: use --password-stdin")
	}
	first, err := p.ask(file, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := p.ask(file, "Repeat password: ")
	if err == nil && first != second {
		err = errors.New("the passwords do not match: run the command again")
	}
	return first, err
}

func (p process) ask(terminal *os.File, prompt string) (string, error) {
	_, _ = fmt.Fprint(p.err, prompt)
	answer, err := term.ReadPassword(int(terminal.Fd()))
	_, _ = fmt.Fprintln(p.err)
	return string(answer), err
}

// explain converts the error of a rule to a message for the operator.
func explain(err error) error {
	var rule *problem.Error
	if !errors.As(err, &rule) {
		return err
	}
	if len(rule.Fields) > 0 && rule.Code == problem.ValidationFailed {
		return explainFields(rule.Fields)
	}
	if kind, _ := problem.KindOf(rule.Code); kind.Operator != "" {
		return errors.New(kind.Operator)
	}
	if rule.Cause != nil {
		return fmt.Errorf("%s: %w", rule.Code, models.Cause(rule.Cause))
	}
	return err
}

// explainFields explains all errors of a request, one per line.
func explainFields(faults []problem.FieldFault) error {
	var list []error
	for _, fault := range faults {
		list = append(list, errors.New(fault.ForOperator()))
	}
	return errors.Join(list...)
}
