package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/spf13/cobra"

	"example.com/accounts/models"
	"example.com/accounts/server/config"
)

const backupHelp = `Writes a copy of the SQLite database to FILE, while servers use the database. The copy is consistent: it has everything
that was committed before the backup began. FILE appears when the copy is complete and on disk. Only its owner can read it.
An existing file is never replaced.

The secret is not part of the backup. Keep it in another place: a thief who has both can impersonate every user.

For MySQL and MariaDB, the command prints which program to use.`

// backupCommand copies the database.
type backupCommand struct{ process }

func (p backupCommand) command() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the SQLite database to a new file; safe while the server runs", Long: backupHelp, Args: cobra.ExactArgs(1),
		Example: `  accountsd backup "/srv/backups/accounts-$(date +%F).db"`,
		RunE:    func(c *cobra.Command, args []string) error { return p.write(c.Context(), args[0]) },
	}
}

func (p backupCommand) write(ctx context.Context, path string) error {
	cfg, log, err := p.config()
	if err != nil {
		return err
	}
	if !cfg.UsesSQLite() {
		return errors.New("this command copies SQLite databases only. Run " + dumpCommand(cfg.Database))
	}
	if _, err := os.Stat(cfg.Database.Path); err != nil { // opening it would create it
		return fmt.Errorf("there is no database to copy: %w", err)
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	err = errors.Join(store.Backup(ctx, path), store.Close())
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists already, and a backup never replaces a file: choose another name", path)
	case err != nil:
		return fmt.Errorf("cannot back up the database: %w", models.Cause(err))
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "copied %s to %s (%d bytes)\n", cfg.Database, path, info.Size())
	return err
}

// dumpCommand returns the command that backs up a MySQL or MariaDB database. With
// --single-transaction the dump is consistent, and servers continue to write.
func dumpCommand(d config.Database) string {
	where := "--socket=" + d.Socket
	if d.Socket == "" {
		host, port, _ := net.SplitHostPort(d.Host)
		where = "--host=" + host + " --port=" + port
	}
	return fmt.Sprintf("(umask 077; mariadb-dump %s --user=%s --password --single-transaction --quick %s >FILE), or mysqldump with the same options", where, d.User, d.Name)
}
