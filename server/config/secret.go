package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

const redacted = "[redacted]"

// Secret is a value that no verb of fmt, no logger and no text encoder prints
// (but do not make it the key of a map: encoding/json prints those as they are).
// Use string(s) where the value itself is needed.
type Secret string

// Format writes the placeholder for every verb, %#v and the wrong ones too: fmt
// prints the operand of a verb it does not know.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (Secret) String() string { return redacted }

// MarshalText serves encoding/json and log/slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const maxSecretFile = 64 << 10 // bytes

// readSecretFile returns what a file holds, without the newline at its end. Its
// errors are predicates to a setting's name and hold neither path nor content:
// the path may be the secret itself, typed into the wrong variable.
func readSecretFile(path string) (string, error) {
	// O_NONBLOCK, or a named pipe would stop the start here for ever.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return "", unreadable(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("must name a regular file")
	}
	// Readable: every account of the machine can sign tokens. Writable: every
	// account can choose the key. A group is how containers are handed secrets.
	if info.Mode().Perm()&0o006 != 0 {
		return "", errors.New("must name a file that others can neither read nor write (chmod o-rw)")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", unreadable(err)
	}
	if len(content) > maxSecretFile {
		return "", errors.New("must name a file of at most 64 KiB")
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		return "", errors.New("must name a file that is not empty")
	}
	return value, nil
}

func unreadable(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// parseSecretKeys splits SECRET_KEYS. The first key signs, all of them verify.
func parseSecretKeys(text string) (any, error) {
	var keys []Secret
	seen := map[string]bool{}
	for i, key := range entries(text) {
		if key == "" {
			return nil, fmt.Errorf("entry %d must not be empty", i+1)
		}
		if seen[key] {
			return nil, fmt.Errorf("entry %d must not repeat an earlier one", i+1)
		}
		seen[key] = true
		keys = append(keys, Secret(key))
	}
	return keys, nil
}

// Lines are secrets that others have chosen: one a line, since they may hold any
// other character.
type Lines []Secret

func parseLines(text string) (any, error) {
	var list Lines
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return nil, fmt.Errorf("line %d must not be empty", i+1)
		}
		if seen[line] {
			return nil, fmt.Errorf("line %d must not repeat an earlier one", i+1)
		}
		seen[line] = true
		list = append(list, Secret(line))
	}
	return list, nil
}
