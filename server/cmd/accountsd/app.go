package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/token"
)

// app has the settings and services for commands that use the database.
type app struct {
	cfg     config.Config
	log     *slog.Logger
	store   *models.Store
	service *accounts.Service

	breached *credentials.Breached // nil if none is configured
}

const (
	openTime = 10 * time.Second
	// The number of passwords that may wait for each hash slot, and for how long. This allows a
	// short burst and still answers all other requests within a second.
	queuePerSlot = 16
	queueTime    = 800 * time.Millisecond
)

func (p process) config() (config.Config, *slog.Logger, error) {
	cfg, warnings, err := config.Load(p.env)
	if err != nil {
		return cfg, nil, err
	}
	log := server.NewLog(p.err, cfg.Level())
	for _, w := range warnings {
		log.Warn("a setting reduces security or reliability", "warning", w)
	}
	return cfg, log, nil
}

// open opens the database and, if ACCOUNTS_AUTO_MIGRATE is set, migrates its schema. Otherwise it
// returns an error for a schema that is older than this program needs.
func (p process) open(ctx context.Context, count metrics.Count) (*app, error) {
	cfg, log, err := p.config()
	if err != nil {
		return nil, err
	}
	if err := p.findDatabase(cfg); err != nil { // first, because the key ring may create a file too
		return nil, err
	}
	ring, err := keyRing(cfg)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	a := &app{cfg: cfg, log: log, store: store}
	if err := errors.Join(a.prepareSchema(ctx), a.openBreached()); err != nil {
		return nil, errors.Join(err, a.close())
	}
	slots, _ := hashSlots()
	a.service = accounts.New(accounts.Options{
		Store: store, Ring: ring, PublicURL: cfg.PublicURL, Now: time.Now, Count: count,
		Hasher:   credentials.NewHasher(credentials.Default, slots, slots*queuePerSlot, queueTime),
		Breached: a.breached, Policy: server.Policy(cfg), Settings: server.Settings(cfg), Legacy: server.Legacy(cfg),
	})
	return a, nil
}

// findDatabase returns an error if the command must not create the database and there is no file. In
// the wrong folder the operator would otherwise get the answer of a new, empty database.
func (p process) findDatabase(cfg config.Config) error {
	if !p.mustExist || !cfg.UsesSQLite() {
		return nil
	}
	path := cfg.Database.Path
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // openStore reports other errors
	}
	remedy := "set ACCOUNTS_DATABASE_URL as for the server"
	if path == cfg.DefaultFile() {
		remedy = "set ACCOUNTS_DATA_DIR as for the server, or run the command in the server's folder"
	}
	return fmt.Errorf("there is no database file %s: %s; \"accountsd migrate up\" creates a new database", absolute(path), remedy)
}

// reportDatabase prints which database the command uses, without the password.
func reportDatabase(out io.Writer, cfg config.Config) {
	d := cfg.Database
	if cfg.UsesSQLite() {
		d.Path = absolute(d.Path)
	}
	_, _ = fmt.Fprintf(out, "database: %s\n", d)
}

// absolute returns the absolute path of a file, or path if it cannot be determined.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// hashSlots returns how many passwords may be hashed at once. It is one on each core if the process
// may use all cores. If the operator or a container limits the process to fewer, one of them is left
// for other requests: more threads than that would use up the quota, and the kernel would stop all of
// them.
var hashSlots = sync.OnceValues(func() (slots int, usesAll bool) {
	procs := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" && procs == runtime.NumCPU() {
		return procs, true
	}
	return max(1, procs-1), false
})

// openBreached opens the configured list of breached passwords.
func (a *app) openBreached() (err error) {
	if a.cfg.BreachedPasswords == "" {
		return nil
	}
	if a.breached, err = credentials.OpenBreached(a.cfg.BreachedPasswords); err != nil {
		return fmt.Errorf("ACCOUNTS_BREACHED_PASSWORDS: %w", err)
	}
	return nil
}

// close closes the database and the list of breached passwords.
func (a *app) close() error {
	var err error
	if a.breached != nil {
		err = a.breached.Close()
	}
	return errors.Join(a.store.Close(), err)
}

func openStore(ctx context.Context, cfg config.Config, log *slog.Logger) (*models.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	store, err := models.Open(ctx, server.StoreOptions(cfg, log))
	if err != nil {
		return nil, fmt.Errorf("cannot open the database %s: %w", cfg.Database, models.Cause(err))
	}
	return store, nil
}

func (a *app) prepareSchema(ctx context.Context) error {
	if a.cfg.AutoMigrate {
		n, err := a.store.Migrate(ctx)
		if err != nil {
			return fmt.Errorf("cannot migrate the database: %w", models.Cause(err))
		}
		if n > 0 {
			a.log.Info("migrated the database", "migrations", n)
		}
		return nil
	}
	schema, err := a.store.Schema(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the version of the database schema: %w", models.Cause(err))
	}
	if !schema.OK() {
		return fmt.Errorf("the database schema is at version %d, but this program needs version %d: run \"accountsd migrate up\" first", schema.Current, schema.Needed)
	}
	return nil
}

// keyRing parses the configured secrets, or creates one at the first start of a server on loopback.
func keyRing(cfg config.Config) (*token.KeyRing, error) {
	texts := cfg.SecretKeys
	if len(texts) == 0 {
		text, err := readOrCreateSecret(filepath.Join(cfg.DataDir, "secret"))
		if err != nil {
			return nil, err
		}
		texts = []config.Secret{config.Secret(text)}
	}
	secrets := make([]token.Secret, 0, len(texts))
	for i, text := range texts {
		secret, err := token.ParseSecret(string(text))
		if err != nil {
			return nil, fmt.Errorf("ACCOUNTS_SECRET_KEYS entry %d is not a valid secret: generate one with \"accountsd secret new\"", i+1)
		}
		secrets = append(secrets, secret)
	}
	return token.NewKeyRing(secrets)
}

// readOrCreateSecret reads the secret file in the data directory. If there is none, it creates one
// that only its owner can read. It rejects a file that other users or the group can access, because
// the secret is enough to sign tokens.
func readOrCreateSecret(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	text, err := token.NewSecret()
	if err != nil {
		return "", err
	}
	err = createOnce(path, text+"\n")
	if err == nil {
		return text, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("cannot create the secret file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("other users can access the secret file %s: run chmod 600 on it", path)
	}
	content, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	return strings.TrimSpace(string(content)), err
}

// createOnce creates the file with its whole content, or not at all. It fails with fs.ErrExist if
// the file exists. So two processes that start at the same time use the same secret, and a crash
// does not leave half of it.
func createOnce(path, content string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	if _, err := draft.WriteString(content); err != nil {
		return errors.Join(err, draft.Close())
	}
	if err := errors.Join(draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil { // fails if the file exists
		return err
	}
	return syncDir(filepath.Dir(path)) // before anything is signed with the secret
}

func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
