package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/scripts/harness"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/hosts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

const (
	password  = "correct horse battery staple"
	addresses = 200 // known addresses, used in turn, so that a cache does not distinguish them from unknown ones
)

// target is a server with a database of its own.
type target struct {
	dir, base, databaseURL, secret string
	options                        models.Options
	undo                           []func() error
}

// start fills a database and starts a server on it. mysqlURL is empty for SQLite.
func start(ctx context.Context, binary, dir, mysqlURL string) (*target, error) {
	t := &target{dir: dir, options: models.Options{SQLite: filepath.Join(dir, "accounts.db"), MaxConns: 4, Log: slog.New(slog.DiscardHandler)}}
	t.databaseURL = "sqlite:" + t.options.SQLite
	if mysqlURL != "" {
		if err := t.createDatabase(ctx, mysqlURL); err != nil {
			return t, err
		}
	}
	if err := t.fill(ctx); err != nil {
		return t, err
	}
	return t, t.serve(ctx, binary)
}

func (t *target) createDatabase(ctx context.Context, base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return errors.New("TEST_MYSQL_URL is not a URL")
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr = u.User.Username(), "tcp", u.Host
	c.Passwd, _ = u.User.Password()
	admin, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	var suffix [6]byte
	_, _ = rand.Read(suffix[:]) // never fails; see its documentation
	name := "timing_" + hex.EncodeToString(suffix[:])
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return errors.Join(err, admin.Close())
	}
	t.undo = append(t.undo, func() error {
		_, err := admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		return errors.Join(err, admin.Close())
	})
	u.Path = "/" + name
	t.databaseURL, t.options.SQLite = u.String(), ""
	t.options.MySQL = &models.MySQL{Addr: u.Host, User: c.User, Password: c.Passwd, Name: name, TLS: "false"}
	return nil
}

// fill adds users, and registrations whose address is not verified yet. All have the same password
// hash, because hashing a password for each would take too long.
func (t *target) fill(ctx context.Context) (err error) {
	if t.secret, err = token.NewSecret(); err != nil {
		return err
	}
	secret, err := token.ParseSecret(t.secret)
	if err != nil {
		return err
	}
	ring, err := token.NewKeyRing([]token.Secret{secret})
	if err != nil {
		return err
	}
	hash, err := credentials.NewHasher(credentials.Default, 1, 1, time.Second).Hash(ctx, hosts.Network{}, password)
	if err != nil {
		return err
	}
	store, err := models.Open(ctx, t.options)
	if err != nil {
		return models.Cause(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := store.Migrate(ctx); err != nil {
		return models.Cause(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range addresses {
		if err := addUser(ctx, store, hash, now, i); err != nil {
			return models.Cause(err)
		}
		if err := addPending(ctx, store, ring, hash, now, i); err != nil {
			return models.Cause(err)
		}
	}
	return nil
}

func addUser(ctx context.Context, store *models.Store, hash string, now time.Time, i int) error {
	name := fmt.Sprintf("known%06d", i)
	u := &models.User{
		Username: name, UsernameNorm: name, Email: address(known, i), EmailNorm: address(known, i), FirstName: "Ada", LastName: "Lovelace",
		Password: models.PasswordHash(hash), IsActive: true, EmailVerifiedAt: &now, DateJoined: now, SessionEpoch: 1,
	}
	return store.Tx(ctx, func(tx *models.Tx) error { return tx.CreateUser(u) })
}

func addPending(ctx context.Context, store *models.Store, ring *token.KeyRing, hash string, now time.Time, i int) error {
	id := uuid.Must(uuid.NewV7())
	value := sha256.Sum256([]byte(ring.OneTime(id)))
	t := models.OneTimeToken{
		ID: id, Purpose: models.PurposeVerify, Hash: value[:], Email: address(pending, i), EmailNorm: address(pending, i), Locale: "en",
		Password: models.PasswordHash(hash), CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}
	m := models.Mail{ID: t.ID, Kind: "verify", Email: t.Email, EmailNorm: t.EmailNorm, Locale: "en", TokenID: &t.ID, CreatedAt: now, NextAt: now, ExpiresAt: t.ExpiresAt}
	return store.Tx(ctx, func(tx *models.Tx) error { return errors.Join(tx.AddMails(m), tx.AddToken(t)) })
}

func (t *target) serve(ctx context.Context, binary string) error {
	addr, err := harness.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return err
	}
	t.base = "http://" + addr
	env := append(harness.Environment(servertest.Unlimited...),
		"ACCOUNTS_ADDR="+addr, "ACCOUNTS_PUBLIC_URL="+t.base, "ACCOUNTS_DATA_DIR="+t.dir, "ACCOUNTS_DATABASE_URL="+t.databaseURL,
		"ACCOUNTS_SECRET_KEYS="+t.secret, "ACCOUNTS_MAIL=files")
	process, err := harness.Start(ctx, harness.Program{Path: binary, Args: []string{"serve"}, Env: env, Addr: addr})
	if err != nil {
		return err
	}
	t.undo = append(t.undo, process.Stop)
	return nil
}

// close undoes all steps, the last one first.
func (t *target) close() error {
	var faults []error
	for _, undo := range slices.Backward(t.undo) {
		faults = append(faults, undo())
	}
	return errors.Join(faults...)
}
