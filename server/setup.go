package server

import (
	"cmp"
	"log/slog"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/ratelimit"
)

// The functions below convert the settings to the options of packages that do not import config,
// and create what these packages need. The binary and the test servers call the same functions, so
// that every test covers them.

// StoreOptions returns the options of the configured database.
func StoreOptions(cfg config.Config, log *slog.Logger) models.Options {
	o := models.Options{SQLite: cfg.Database.Path, MaxConns: cfg.DBMaxConns, Log: log}
	if !cfg.UsesSQLite() {
		m := MySQL(cfg.Database)
		o.MySQL = &m
	}
	return o
}

// MySQL returns the address and the credentials of a MySQL database.
func MySQL(d config.Database) models.MySQL {
	return models.MySQL{Addr: cmp.Or(d.Socket, d.Host), User: d.User, Password: string(d.Password), Name: d.Name, TLS: d.TLS}
}

// Policy returns the lifetimes of sessions and tokens.
func Policy(cfg config.Config) accounts.Policy {
	return accounts.Policy{
		AccessTTL: cfg.AccessTTL, RefreshIdleTTL: cfg.RefreshIdleTTL, ServerHeldIdleTTL: cfg.ServerHeldIdleTTL,
		SessionMaxAge: cfg.SessionMaxAge, RotationInterval: cfg.RotationInterval, Margin: cfg.Margin(),
	}
}

// Settings returns the rules for accounts: registration, passwords, links, mails and rate limits.
func Settings(cfg config.Config) accounts.Settings {
	return accounts.Settings{
		MinPassword: cfg.PasswordMinLength, SiteNames: cfg.SiteNames(), RegistrationClosed: cfg.Registration == "closed", VerificationOptional: cfg.EmailVerification == "optional",
		VerifyTTL: cfg.VerifyTTL, EmailChangeTTL: cfg.EmailChangeTTL, ResetTTL: cfg.ResetTTL,
		EventRetention: cfg.EventRetention, MailSenders: cfg.MailSenders,
		VerifyURL: cfg.VerifyURL, EmailChangeURL: cfg.EmailChangeURL, ResetURL: cfg.ResetURL,
		Limits: accounts.Limits{
			LoginFailuresPerAccount: limit(cfg.LoginFailuresPerAccount), LoginFailuresPerClient: limit(cfg.LoginFailuresPerClient),
			RegistrationsPerClient: limit(cfg.RegistrationsPerClient), ConfirmationsPerClient: limit(cfg.ConfirmationsPerClient),
			RareActionsPerUser: limit(cfg.RareActionsPerUser), MailsPerStaff: limit(cfg.MailsPerStaff),
			PasswordsPerClient: limit(cfg.PasswordsPerClient), PasswordsPerUser: limit(cfg.PasswordsPerUser),
			MailsPerRecipient: ratelimit.Limit{N: cfg.MailsPerRecipient.N, Per: cfg.MailsPerRecipient.Per, Pause: cfg.MailPause()},
		},
	}
}

// LogMailFault returns the callback of accounts.SendMails, which logs why a mail was not sent.
func LogMailFault(log *slog.Logger) func(accounts.MailFault) {
	return func(f accounts.MailFault) {
		log := log.With("mail", f.ID, "kind", f.Kind, "attempts", f.Attempts, "error", f.Err.Error())
		if f.GivenUp {
			log.Error("a mail could not be sent and will not be retried")
			return
		}
		log.Warn("a mail could not be sent and will be retried")
	}
}

// Legacy returns the secrets of the service that users were imported from, and the time until which
// its refresh tokens are accepted.
func Legacy(cfg config.Config) accounts.LegacySecrets {
	l := accounts.LegacySecrets{Until: cfg.LegacyJWTUntil.At}
	for _, secret := range cfg.LegacyJWTSecrets {
		l.Secrets = append(l.Secrets, string(secret))
	}
	return l
}

func limit(b config.Limit) ratelimit.Limit { return ratelimit.Limit{N: b.N, Per: b.Per} }
