package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/config"
	"example.com/accounts/server/mail"
)

const doctorHelp = `Checks the settings and everything that the server depends on, and prints one line for each check:

  settings     the settings are valid
  database     the database answers
  schema       the schema is current
  clock        the clock of the database agrees with that of this machine
  mail         the mail server greets, uses TLS and accepts the login; no mail is sent
  public-url   ACCOUNTS_PUBLIC_URL leads to a server with the signing secret of these settings

A check is ok, failed, or skipped because one that it needs has failed. The exit status is 1 if any check failed.
Nothing is changed. Run the command on the machine of the server, with the settings of the server, while the server runs.`

// The results of a check.
const (
	checkOK      = "ok"
	checkFailed  = "failed"
	checkSkipped = "skipped"
)

// diagnosis is the outcome of one check.
type diagnosis struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"` // contains no password
}

// doctor runs checks and collects their outcomes.
type doctor struct {
	cfg   config.Config
	list  []diagnosis
	print func(diagnosis) error
	err   error // of print
}

// doctorCommand checks what the server depends on.
type doctorCommand struct{ process }

func (p doctorCommand) command() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "Check settings, database, mail server and public URL; exit with status 1 if a check fails", Long: doctorHelp, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.run(c.Context(), asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return c
}

func (p doctorCommand) run(ctx context.Context, asJSON bool) error {
	d := &doctor{print: func(result diagnosis) error {
		if asJSON {
			return json.NewEncoder(p.out).Encode(result)
		}
		_, err := fmt.Fprintf(p.out, "%-8s %-11s %s\n", result.Result, result.Check, result.Detail)
		return err
	}}
	cfg, log, err := p.config()
	d.cfg = cfg
	if d.report("settings", "valid", err) {
		d.checkDatabase(ctx, func() (*models.Store, error) { return openStore(ctx, cfg, log) })
		d.checkMail(ctx)
		d.report("public-url", "answered by this server: "+cfg.PublicURL, checkPublicURL(ctx, cfg))
	} else {
		d.skip("the settings are not valid", "database", "schema", "clock", "mail", "public-url")
	}
	return errors.Join(d.err, d.verdict())
}

// verdict returns an error if a check has failed.
func (d *doctor) verdict() error {
	failed := 0
	for _, result := range d.list {
		if result.Result == checkFailed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", failed, len(d.list))
}

func (d *doctor) add(result diagnosis) {
	d.list = append(d.list, result)
	d.err = errors.Join(d.err, d.print(result))
}

// report adds the outcome of a check, and reports whether it is ok.
func (d *doctor) report(check, detail string, err error) bool {
	if err != nil {
		d.add(diagnosis{check, checkFailed, strings.ReplaceAll(err.Error(), "\n", "; ")})
		return false
	}
	d.add(diagnosis{check, checkOK, detail})
	return true
}

func (d *doctor) skip(reason string, checks ...string) {
	for _, check := range checks {
		d.add(diagnosis{check, checkSkipped, reason})
	}
}

// checkDatabase checks the database, its schema and its clock.
func (d *doctor) checkDatabase(ctx context.Context, open func() (*models.Store, error)) {
	store, err := d.openExisting(open)
	if !d.report("database", "answers: "+d.cfg.Database.String(), err) {
		d.skip("the database does not answer", "schema", "clock")
		return
	}
	defer func() { _ = store.Close() }()
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	schema, err := store.Schema(ctx)
	if err == nil && !schema.OK() {
		err = errors.New("too old: run \"accountsd migrate up\"")
	}
	d.report("schema", fmt.Sprintf("version %d, needed %d", schema.Current, schema.Needed), err)
	detail, err := checkClock(ctx, store, server.Policy(d.cfg).Tolerance())
	d.report("clock", detail, err)
}

// openExisting opens the database. It does not create an SQLite file, as a start of the server does.
func (d *doctor) openExisting(open func() (*models.Store, error)) (*models.Store, error) {
	if d.cfg.UsesSQLite() {
		if _, err := os.Stat(d.cfg.Database.Path); err != nil {
			return nil, fmt.Errorf("cannot open the database; a server on loopback creates it at its first start: %w", err)
		}
	}
	return open()
}

func checkClock(ctx context.Context, store *models.Store, tolerance time.Duration) (string, error) {
	began := time.Now()
	now, ok, err := store.Clock(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot read the clock of the database: %w", models.Cause(err))
	}
	if !ok {
		return "the database runs in the server and has no clock of its own", nil
	}
	took := time.Since(began)
	return compareClocks(now.Sub(began.Add(took/2)), took, tolerance)
}

// compareClocks judges the difference of the clocks. The query took so long that the difference is
// known up to half of that time.
func compareClocks(offset, took, tolerance time.Duration) (string, error) {
	detail := fmt.Sprintf("the clock of the database differs by %s", offset.Abs().Round(time.Millisecond))
	if offset.Abs() > tolerance+took/2 {
		return "", errors.New(detail + ", and at most " + tolerance.String() + " are permitted: synchronize both machines by NTP")
	}
	return detail, nil
}

func (d *doctor) checkMail(ctx context.Context) {
	if d.cfg.Mail == config.MailFiles {
		d.report("mail", "no mail is sent: mails are written to files in "+filepath.Join(d.cfg.DataDir, "mail"), nil)
		return
	}
	sender, err := mail.NewSMTP(string(d.cfg.SMTPURL), d.cfg.MailFrom)
	if err != nil { // the settings are checked already
		d.report("mail", "", err)
		return
	}
	if err = sender.Check(ctx); err != nil {
		err = fmt.Errorf("%s: %w", sender.Server(), err)
	}
	d.report("mail", "the mail server is ready: "+sender.Server(), err)
}
