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

const importHelp = `Reads the users of a Django project, and adds them to this service with their ids, names, flags and password hashes.

The source is read and never written: a live MySQL or MariaDB database in one snapshot, or a file of "manage.py dumpdata".
The URL is written as ACCOUNTS_DATABASE_URL is. With --from - it is read from standard input as one line, so that its
password is seen by no other process and is in no history.

The table of the users is found by its columns. If there are several, name one: --table accounts_user (or accounts.user).

What does not fit is met by a rule and has a line in the report, with the first ids. The most important ones:
  - of two users with one e-mail address the one with the lower id keeps it. The other is imported without an address, and
    so is a user whose address is not valid. A user without an address logs in by the username.
  - an address counts as verified only if django-allauth's table account_emailaddress marks it as verified for that user. If
    Django verified addresses in another way, state so with --emails-verified. An address that allauth marks as not verified
    stays so even then. A user whose address is not verified logs in with the old password and gets no notices of changes by
    mail. A password reset by mail verifies the address.
  - of two usernames that are one here (Ada, ada) the lowest id keeps it, the other becomes ada-ID. A name that Django took
    is kept, also with an @ or a blank, if its owner can log in by it; otherwise it becomes user-ID.
  - password hashes are kept, and replaced at the next login. Where one is of an unknown kind, or too costly, the user sets
    a new password by mail.
  - is_staff and is_superuser are kept for users whose address is verified, and for no others. Groups and permissions are not
    kept: staff members manage ordinary users here. The report has a line for each role, with the first ids: read it before
    users can log in. A user who has lost the role that way resets the password by mail, and a superuser then grants the role
    in the console or by the API. "accountsd user create --superuser" makes the first superuser.
  - times without a zone are taken for UTC, as Django writes them with USE_TZ.
  - tokens on the blacklist of simplejwt stay unusable.
  - a user is left out only if the id is not from 1 to 2^52, or belongs to a user who was not imported or was deleted here.

Users are imported in the order of their ids, 500 in a transaction. Run it again after anything that stopped it: users who are
here already are passed over. It ends with status 1 if it was stopped or left users out.

The order: accountsd migrate up; a dry run; stop Django's sign-ups and changes; the import, before anybody else has an id
here; switch over.`

func (p process) importDjango() *cobra.Command {
	var from, table string
	var o accounts.ImportOptions
	c := &cobra.Command{
		Use: "import-django --from mysql://USER:PASSWORD@HOST/NAME|FILE.json|-", Short: "Import the users of a Django project", Long: importHelp, Args: cobra.NoArgs,
		Example: `  accountsd import-django --from users.json --dry-run
  accountsd import-django --from - --table accounts_user < /run/secrets/django-url`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Dry { // a dry run changes nothing, not even the schema
				p.env = append([]string{"ACCOUNTS_AUTO_MIGRATE=false"}, p.env...)
			}
			return p.withApp(c.Context(), func(ctx context.Context, a *app) error {
				source, err := p.djangoSource(ctx, from, table)
				if err != nil {
					return err
				}
				return errors.Join(p.runImport(ctx, a, source, o), source.Close())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "a database, a file, or - for the URL of a database on standard input (required)")
	f.StringVar(&table, "table", "", "the table of the users, if there are several")
	f.BoolVar(&o.Dry, "dry-run", false, "change nothing, and print the same report")
	f.BoolVar(&o.EmailsVerified, "emails-verified", false, "count every address as verified, except those that django-allauth marks as not verified")
	if err := c.MarkFlagRequired("from"); err != nil {
		panic(err)
	}
	return c
}

const maxURLLine = 4096

func (p process) djangoSource(ctx context.Context, from, table string) (django.Source, error) {
	if from == "-" {
		line, err := bufio.NewReader(io.LimitReader(p.in, maxURLLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if from = strings.TrimSpace(line); !strings.Contains(from, "://") {
			return nil, errors.New("standard input has no mysql:// URL in its first line")
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

// runImport prints the report even after an error, because users that were imported before it stay
// imported.
func (p process) runImport(ctx context.Context, a *app, source django.Source, o accounts.ImportOptions) error {
	run := a.service.NewImport(o)
	bar := p.progress(source.Total(), "users", progressbar.OptionShowCount())
	err := a.explain(run.Begin(ctx, source.Greatest()))
	if err == nil {
		err = source.Tokens(ctx, func(batch []accounts.DjangoToken) error { return a.explain(run.Tokens(ctx, batch)) })
	}
	if err == nil {
		err = source.Addresses(ctx, func(batch []accounts.DjangoAddress) error { run.Addresses(batch); return nil })
	}
	if err == nil {
		err = source.Users(ctx, func(batch []accounts.DjangoUser) error {
			if err := run.Users(ctx, batch); err != nil {
				return a.explain(err)
			}
			return bar.Add(len(batch))
		})
	}
	r := run.Report()
	err = errors.Join(err, bar.Exit(), p.printImport(source, r, o.Dry))
	switch {
	case err != nil:
		return fmt.Errorf("stopped after %d of %d users: %w; what was imported stays: run it again", r.Read, source.Total(), err)
	case r.LeftOut() > 0:
		return fmt.Errorf("%d users were left out: see the report", r.LeftOut())
	}
	return nil
}

func (p process) printImport(source django.Source, r accounts.ImportReport, dry bool) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if dry {
		_, _ = fmt.Fprintln(w, "Dry run: nothing was changed. It would be:")
	}
	for _, each := range []struct {
		text  string
		count int
	}{
		{"users in " + source.Table(), int(source.Total())}, {"imported", r.Imported}, {"here already", r.Here}, {"left out", r.LeftOut()}, {"used tokens", r.Tokens},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%d\n", each.text, each.count)
	}
	for _, part := range []struct {
		title string
		lines []accounts.ImportLine
	}{{"Met by a rule:", r.Met}, {"Left out:", r.Refused}} {
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
