package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"os"
	"path/filepath"

	gomail "github.com/wneessen/go-mail"
)

// Files is a Sender for development: each message becomes a file that mail
// programs open.
type Files struct {
	dir  string
	from *netmail.Address
	log  *slog.Logger
}

// NewFiles makes dir, if need be, readable by its owner only. from is as in
// ParseFrom.
func NewFiles(dir, from string, log *slog.Logger) (*Files, error) {
	sender, err := parseFrom(from)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Files{dir: dir, from: sender, log: log}, nil
}

// Send writes <date>-<kind>-<id>.eml, mode 0600, complete or not at all, and logs
// its path: whoever reads the logs must not find a link that opens an account. The
// same message written again is the same file.
//
// The text is not transfer-encoded: a link can be copied out of the file with any
// program, where quoted-printable would break it in two.
func (f *Files) Send(ctx context.Context, m Message) error {
	data, err := m.build(f.from, gomail.NoEncoding)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	name := m.Date.UTC().Format("20060102T150405.000Z") + "-" + string(m.Kind) + "-" + m.ID + ".eml"
	path := filepath.Join(f.dir, name)
	if err := writeFile(path, data); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	f.log.InfoContext(ctx, "mail written to a file", "kind", string(m.Kind), "path", path)
	return nil
}

// writeFile replaces path in one step, by a file that is on disk before it has
// that name. CreateTemp's mode is 0600.
func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".mail-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
