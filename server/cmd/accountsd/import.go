package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/django"
)

const importHelp = `Imports the users of a Django project with their ids, names, flags and password hashes.

The source is only read, never written. It is a live MySQL or MariaDB database, which is read in one snapshot, or a file
written by "manage.py dumpdata". The URL has the format of ACCOUNTS_DATABASE_URL. With --from - the command reads the URL as
one line from standard input, so that the password is not visible to other processes and not stored in the shell history.

The command finds the table of users by its columns. If several tables match, name one: --table accounts_user (or
accounts.user).

Values that cannot be imported unchanged are adjusted by a rule. The report has a line for each rule, with the first ids.
The most important rules:
  - If two users have the same e-mail address, the user with the lower id keeps it. The other is imported without an address.
    A user whose address is not valid is also imported without one. A user without an address logs in by the username.
  - An address counts as verified only if django-allauth's table account_emailaddress marks it as verified for that user. If
    Django verified addresses in another way, use --emails-verified. An address that allauth marks as not verified stays
    unverified even then. A user with an unverified address logs in with the old password, but gets no mails about changes
    to the account. A password reset by mail verifies the address.
  - If two usernames are the same in this service (Ada, ada), the user with the lowest id keeps it. The other becomes ada-ID.
    A Django username with an @ or a space is kept if its owner can log in by it. Otherwise it becomes user-ID.
  - Password hashes are kept and replaced at the next login. If a hash is of an unknown kind or too costly to verify, the
    user sets a new password by mail.
  - is_staff and is_superuser are kept only for users with a verified address. Groups and permissions are not imported: staff
    members can manage ordinary users. The report has a line for each role, with the first ids. Read it before users can log
    in. A user who lost the role because the address was not verified resets the password by mail. A superuser then grants
    the role in the console, or the operator with "accountsd user set-roles". "accountsd user create --superuser" creates the
    first superuser.
  - Times without a time zone are read as UTC, which Django writes with USE_TZ.
  - Tokens on the simplejwt blacklist stay unusable.
  - A user is not imported only if the id is not from 1 to 2^52, belongs to a user who was not imported, or belongs to a
    user who was deleted from this service.

Users are imported in order of their ids, 500 per transaction. If the import stops, run it again: it skips users who are
already present. The exit status is 1 if the import stopped or if users were not imported.

Recommended order:
  1. Run accountsd migrate up.
  2. Run a dry run.
  3. Stop sign-ups and changes in Django.
  4. Run the import, before other users are created in this service.
  5. Switch over.`

// importCommand is the command that imports the users of a Django service.
type importCommand struct{ process }

func (p importCommand) command() *cobra.Command {
	var from, table string
	var o accounts.ImportOptions
	c := &cobra.Command{
		Use: "import-django --from mysql://USER:PASSWORD@HOST/NAME|FILE.json|-", Short: "Import the users of a Django project", Long: importHelp, Args: cobra.NoArgs,
		Example: `  accountsd import-django --from users.json --dry-run
  accountsd import-django --from - --table accounts_user < /run/secrets/django-url`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Dry { // a dry run changes nothing, not even the schema
				p.mustExist = true
				p.env = append([]string{"ACCOUNTS_AUTO_MIGRATE=false"}, p.env...)
			}
			return p.withApp(c.Context(), func(ctx context.Context, a *app) error {
				source, err := p.source(ctx, from, table)
				if err != nil {
					return err
				}
				return errors.Join(p.run(ctx, a, source, o), source.Close())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "the URL of the Django database, a dumpdata file, or - to read the URL from standard input (required)")
	f.StringVar(&table, "table", "", "the table that contains the users, if several tables match")
	f.BoolVar(&o.Dry, "dry-run", false, "print the report without changing anything")
	f.BoolVar(&o.EmailsVerified, "emails-verified", false, "treat every address as verified, except those that django-allauth marks as not verified")
	if err := c.MarkFlagRequired("from"); err != nil {
		panic(err)
	}
	return c
}

const maxURLLine = 4096

func (p importCommand) source(ctx context.Context, from, table string) (django.Source, error) {
	if from == "-" {
		line, err := bufio.NewReader(io.LimitReader(p.in, maxURLLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if from = strings.TrimSpace(line); !strings.Contains(from, "://") {
			return nil, errors.New("the first line of standard input is not a mysql:// URL")
		}
	}
	if !strings.Contains(from, "://") {
		return django.OpenDump(ctx, from, table)
	}
	d, err := config.ParseMySQL(from)
	if err != nil {
		return nil, fmt.Errorf("--from %w", err)
	}
	return django.OpenDatabase(ctx, server.MySQL(d), table)
}

// run prints the report even after an error, because users that were imported before it stay
// imported.
func (p importCommand) run(ctx context.Context, a *app, source django.Source, o accounts.ImportOptions) error {
	run := a.service.NewImport(o)
	bar := p.progress(source.Total(), "users", progressbar.OptionShowCount())
	err := explain(run.Begin(ctx, source.Greatest()))
	if err == nil {
		err = source.Tokens(ctx, func(batch []accounts.DjangoToken) error { return explain(run.Tokens(ctx, batch)) })
	}
	if err == nil {
		err = source.Addresses(ctx, func(batch []accounts.DjangoAddress) error { run.Addresses(batch); return nil })
	}
	if err == nil {
		err = source.Users(ctx, func(batch []accounts.DjangoUser) error {
			if err := run.Users(ctx, batch); err != nil {
				return explain(err)
			}
			return bar.Add(len(batch))
		})
	}
	r := run.Report()
	err = errors.Join(err, bar.Exit(), p.print(source, r, o.Dry))
	switch {
	case err != nil:
		return fmt.Errorf("the import stopped after %d of %d users: %w; imported users are kept, so run the import again", r.Read, source.Total(), err)
	case r.LeftOut() > 0:
		return fmt.Errorf("%d users were not imported: see the report", r.LeftOut())
	}
	return nil
}

func (p importCommand) print(source django.Source, r accounts.ImportReport, dry bool) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if dry {
		_, _ = fmt.Fprintln(w, "Dry run: nothing was changed. An import would give this result:")
	}
	for _, each := range []struct {
		text  string
		count int
	}{
		{"users in " + source.Table(), int(source.Total())}, {"imported", r.Imported}, {"already present", r.ImportedBefore}, {"not imported", r.LeftOut()}, {"used tokens", r.Tokens},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%d\n", each.text, each.count)
	}
	for _, part := range []struct {
		title string
		lines []accounts.ImportLine
	}{{"Adjusted by a rule:", r.Applied}, {"Not imported:", r.Refused}} {
		if len(part.lines) > 0 {
			_, _ = fmt.Fprintln(w, part.title)
		}
		for _, line := range part.lines {
			_, _ = fmt.Fprintf(w, "  %d\t%s\tids %s\n", line.Count, line.Text, listIDs(line))
		}
	}
	return w.Flush()
}

func listIDs(line accounts.ImportLine) string {
	var ids []string
	for _, id := range line.IDs {
		ids = append(ids, fmt.Sprint(id))
	}
	if line.Count > len(ids) {
		ids = append(ids, "…")
	}
	return strings.Join(ids, ", ")
}
