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

// Files is a [Sender] for development. It writes each message to a file that mail programs can
// open.
type Files struct {
	dir  string
	from *netmail.Address
	log  *slog.Logger
}

// NewFiles creates dir, if necessary, readable by its owner only. The argument from has the form
// that [CheckFrom] accepts.
func NewFiles(dir, from string, log *slog.Logger) (*Files, error) {
	sender, err := parseFrom(from)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Files{dir: dir, from: sender, log: log}, nil
}

// Send writes <date>-<kind>-<id>.eml with mode 0600, atomically, and logs its path. It does not log
// the content, because a reader of the logs must not find a link that opens an account. Sending the
// same message again replaces the same file.
//
// The text is not transfer-encoded, so that a link can be copied from the file with any program.
// Quoted-printable would break it across lines.
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

// writeFile replaces path atomically, by a file whose content is already on disk. CreateTemp
// creates files with mode 0600.
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
