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
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// userCommands holds the commands that manage users.
type userCommands struct{ process }

func (p userCommands) command() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Manage users", Args: cobra.NoArgs}
	c.AddCommand(p.create(), p.list(), p.setPassword(),
		p.setActive("activate", "Allow a user to log in again", true),
		p.setActive("deactivate", "End all sessions of a user and prevent new logins", false))
	return c
}

func (p userCommands) create() *cobra.Command {
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
	f.BoolVar(&n.Superuser, "superuser", false, "make the user a superuser, who has every permission")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input instead of prompting")
	for _, name := range []string{"username", "email"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

func (p userCommands) setPassword() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "set-password USERNAME", Short: "Set a new password for a user and end all sessions of the user", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withApp(c.Context(), func(ctx context.Context, a *app) error {
				password, err := p.readPassword(stdin)
				if err != nil {
					return err
				}
				return explain(a.service.SetPassword(ctx, args[0], password))
			})
		},
	}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input instead of prompting")
	return c
}

func (p userCommands) setActive(use, short string, active bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " USERNAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withApp(c.Context(), func(ctx context.Context, a *app) error {
				return explain(a.service.SetActive(ctx, args[0], active))
			})
		},
	}
}

func (p userCommands) list() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List all users", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withApp(c.Context(), func(ctx context.Context, a *app) error {
				if asJSON {
					return p.printJSON(ctx, a)
				}
				return p.printTable(ctx, a)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return c
}

func (p userCommands) printTable(ctx context.Context, a *app) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tUSERNAME\tEMAIL\tACTIVE\tSUPERUSER\tLAST LOGIN")
	err := a.service.Users(ctx, func(u models.User) error {
		last := "never"
		if u.LastLogin != nil {
			last = u.LastLogin.Format(time.RFC3339)
		}
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%t\t%t\t%s\n", u.ID, u.Username, u.Email, u.IsActive, u.IsSuperuser, last)
		return err
	})
	return errors.Join(err, w.Flush())
}

// listedUser is a user in the form that `user list --json` prints. It has no password hash and none
// of the server's internal values, such as the epoch.
type listedUser struct {
	ID              int64      `json:"id"`
	Username        string     `json:"username"`
	Email           string     `json:"email"`
	FirstName       string     `json:"first_name"`
	LastName        string     `json:"last_name"`
	IsActive        bool       `json:"is_active"`
	IsStaff         bool       `json:"is_staff"`
	IsSuperuser     bool       `json:"is_superuser"`
	EmailVerifiedAt *time.Time `json:"email_verified_at"`
	LastLogin       *time.Time `json:"last_login"`
	DateJoined      time.Time  `json:"date_joined"`
}

func (p userCommands) printJSON(ctx context.Context, a *app) error {
	w := json.NewEncoder(p.out)
	return a.service.Users(ctx, func(u models.User) error {
		return w.Encode(listedUser{
			ID: u.ID, Username: u.Username, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, IsActive: u.IsActive, IsStaff: u.IsStaff,
			IsSuperuser: u.IsSuperuser, EmailVerifiedAt: u.EmailVerifiedAt, LastLogin: u.LastLogin, DateJoined: u.DateJoined,
		})
	})
}

func (p process) withApp(ctx context.Context, f func(context.Context, *app) error) (err error) {
	a, err := p.open(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
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
