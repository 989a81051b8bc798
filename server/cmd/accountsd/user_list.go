package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// userFilter holds the flags of `user list`. Each is the parameter of GET /admin/users.
type userFilter struct {
	text, username, email, sort string
	active, verified            bool
	roles                       []string
}

func (p *userCommands) list() *cobra.Command {
	var in userFilter
	c := &cobra.Command{
		Use: "list", Short: "List all users, or those that match the flags", Args: cobra.NoArgs,
		Example: `  accountsd user list --search lovelace --active
  accountsd user list --role staff,superuser --verified=false
  accountsd user list --sort=-last_login --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := in.filter(c)
			if err != nil {
				return err
			}
			return p.withExisting(c.Context(), func(ctx context.Context, a *app) error {
				if p.json {
					w := json.NewEncoder(p.out)
					return explain(a.service.EachUser(ctx, filter, func(u models.User) error { return w.Encode(listedUserOf(u)) }))
				}
				return p.printTable(ctx, a, filter)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&in.text, "search", "", "only users with these words in the username, the address or a name")
	f.StringVar(&in.username, "username", "", "only the user with this username")
	f.StringVar(&in.email, "email", "", "only the user with this e-mail address")
	f.StringSliceVar(&in.roles, "role", nil, "only users whose highest role is one of these: none, staff, superuser")
	f.BoolVar(&in.active, "active", false, "only active users; --active=false: only deactivated users")
	f.BoolVar(&in.verified, "verified", false, "only users with a verified address; --verified=false: only users without one")
	f.StringVar(&in.sort, "sort", string(api.UserSortID), "the order: id, username, email, last_login or date_joined, with a hyphen before it for the reverse")
	return c
}

// filter returns the filter of the command line. Errors: usageError.
func (in *userFilter) filter(c *cobra.Command) (accounts.UserFilter, error) {
	f := c.Flags()
	for _, role := range in.roles {
		if !api.UserRole(role).Valid() {
			return accounts.UserFilter{}, usageError{fmt.Errorf("--role %q is not a role: use none, staff or superuser", role)}
		}
	}
	if !api.UserSort(in.sort).Valid() {
		return accounts.UserFilter{}, usageError{fmt.Errorf("--sort %q is not an order: use id, username, email, last_login or date_joined", in.sort)}
	}
	order, descending := strings.CutPrefix(in.sort, "-")
	return accounts.UserFilter{
		Text: in.text, Username: ifGiven(f, "username", &in.username), Email: ifGiven(f, "email", &in.email), Roles: in.roles,
		IsActive: ifGiven(f, "active", &in.active), EmailVerified: ifGiven(f, "verified", &in.verified),
		Sort: order, Descending: descending,
	}, nil
}

func (p *userCommands) printTable(ctx context.Context, a *app, filter accounts.UserFilter) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tUSERNAME\tEMAIL\tVERIFIED\tACTIVE\tROLE\tLAST LOGIN")
	err := a.service.EachUser(ctx, filter, func(u models.User) error {
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%t\t%t\t%s\t%s\n", u.ID, u.Username, u.Email, u.EmailVerifiedAt != nil, u.IsActive, roleOf(u), timeOrNever(u.LastLogin))
		return err
	})
	return errors.Join(explain(err), w.Flush())
}

// roleOf returns the highest role of a user, as --role has it.
func roleOf(u models.User) api.UserRole {
	switch {
	case u.IsSuperuser:
		return api.UserRoleSuperuser
	case u.IsStaff:
		return api.UserRoleStaff
	}
	return api.UserRoleNone
}

func timeOrNever(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Format(time.RFC3339)
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

func listedUserOf(u models.User) listedUser {
	return listedUser{
		ID: u.ID, Username: u.Username, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, IsActive: u.IsActive, IsStaff: u.IsStaff,
		IsSuperuser: u.IsSuperuser, EmailVerifiedAt: u.EmailVerifiedAt, LastLogin: u.LastLogin, DateJoined: u.DateJoined,
	}
}

// shownUser is a user in the form that the commands about one user print as JSON.
type shownUser struct {
	listedUser
	Locale       string `json:"locale"`
	HasPassword  bool   `json:"has_password"`
	PendingEmail string `json:"pending_email"` // of a change of the address that is not confirmed yet
	Throttled    bool   `json:"throttled"`     // too many wrong passwords: logins are rejected for now
}

func (p *userCommands) show() *cobra.Command {
	return &cobra.Command{
		Use: "show USERNAME", Short: "Print the data of a user", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withExisting(c.Context(), func(ctx context.Context, a *app) error {
				u, err := a.service.NamedUser(ctx, args[0])
				if err != nil {
					return explain(err)
				}
				return p.printUser(ctx, a, u.ID)
			})
		},
	}
}

// printUser prints a user as JSON if that is required, and else as a table.
func (p *userCommands) printUser(ctx context.Context, a *app, id int64) error {
	d, err := a.service.GetUser(ctx, id)
	if err != nil {
		return explain(err)
	}
	u := d.User
	if p.json {
		return json.NewEncoder(p.out).Encode(shownUser{listedUserOf(u), u.Locale, d.HasPassword, d.PendingEmail, d.Throttled})
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]any{
		{"id", u.ID}, {"username", u.Username}, {"email", u.Email}, {"verified", u.EmailVerifiedAt != nil}, {"pending email", d.PendingEmail},
		{"first name", u.FirstName}, {"last name", u.LastName}, {"locale", u.Locale}, {"active", u.IsActive}, {"staff", u.IsStaff}, {"superuser", u.IsSuperuser},
		{"has password", d.HasPassword}, {"throttled", d.Throttled}, {"joined", u.DateJoined.Format(time.RFC3339)}, {"last login", timeOrNever(u.LastLogin)},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%v\n", row[0], row[1])
	}
	return w.Flush()
}
