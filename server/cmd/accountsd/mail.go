package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/accounts/server/config"
	"example.com/accounts/server/mail"
)

// mailCommands test the delivery of mails.
type mailCommands struct{ process }

func (p mailCommands) command() *cobra.Command {
	c := &cobra.Command{Use: "mail", Short: "Test the delivery of mails", Args: cobra.NoArgs}
	c.AddCommand(p.test())
	return c
}

func (p mailCommands) test() *cobra.Command {
	var to, locale string
	c := &cobra.Command{
		Use: "test --to ADDRESS", Short: "Send one test mail with the configured sender, and print what happened", Args: cobra.NoArgs,
		Long: `Sends one test mail with the settings of the server, at once and without the database. It prints the mail server's
acceptance, or the step that failed with the codes of the answer. A mail that was accepted can still be filtered on its way.`,
		Example: `  accountsd mail test --to me@example.com`,
		RunE:    func(c *cobra.Command, _ []string) error { return p.send(c.Context(), to, locale) },
	}
	c.Flags().StringVar(&to, "to", "", "the recipient (required)")
	c.Flags().StringVar(&locale, "locale", "en", "the language of the mail: en or ko")
	if err := c.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return c
}

func (p mailCommands) send(ctx context.Context, to, locale string) error {
	cfg, log, err := p.config()
	if err != nil {
		return err
	}
	sender, err := mailSender(cfg, log)
	if err != nil {
		return err
	}
	if idle, ok := sender.(io.Closer); ok {
		defer func() { _ = idle.Close() }()
	}
	began := time.Now()
	message := mail.Message{Kind: mail.Test, To: to, Locale: locale, ID: uuid.NewString(), Date: began}
	if err := sender.Send(ctx, message); err != nil {
		return errors.Join(fmt.Errorf("the test mail was not sent by %s", mailServer(cfg, sender)), err)
	}
	if cfg.Mail == config.MailFiles {
		_, err = fmt.Fprintf(p.out, "wrote the test mail to a file in %s; no mail was sent, because ACCOUNTS_MAIL is files\n", filepath.Join(cfg.DataDir, "mail"))
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s accepted the test mail from %s after %s\n", mailServer(cfg, sender), cfg.MailFrom, time.Since(began).Round(time.Millisecond))
	return err
}

// mailServer names where a sender delivers to, without a password.
func mailServer(cfg config.Config, sender mail.Sender) string {
	if smtp, ok := sender.(*mail.SMTP); ok {
		return smtp.Server()
	}
	return filepath.Join(cfg.DataDir, "mail")
}
