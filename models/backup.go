package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNotSQLite means that the database is a server, which has its own tools for backups.
var ErrNotSQLite = errors.New("the database is not SQLite")

// Backup writes a consistent copy of an SQLite database to a new file, while servers use the
// database: the copy has every transaction that committed before the call, and no part of another.
// It has no free pages, so nothing that was deleted is in it.
//
// The file appears when the copy is complete and on disk. Only its owner can access it, because it
// contains password hashes. Backup never replaces a file: the existing one may be the only good
// backup. Errors: ErrNotSQLite; fs.ErrExist.
func (s *database) Backup(ctx context.Context, path string) (err error) {
	if s.mysql {
		return ErrNotSQLite
	}
	if _, err := os.Lstat(path); err == nil { // the link below checks again; this spares the copy
		return fs.ErrExist
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()
	// VACUUM INTO accepts a file that exists if it is empty, and leaves its mode. It only reads this
	// database, but a connection with query_only rejects it.
	if err := s.db.WithContext(ctx).Exec("VACUUM INTO ?", draft.Name()).Error; err != nil {
		return errors.Join(fmt.Errorf("models: %w", translate(err)), draft.Close())
	}
	if err := errors.Join(draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil { // fails if the file exists
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
