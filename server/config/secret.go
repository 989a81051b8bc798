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

// Secret is a value that no logger, no text encoder and no verb of fmt except %p prints. Do not use
// it as the key of a map, because encoding/json prints keys unchanged. Use string(s) where the
// value itself is needed.
type Secret string

// Format writes the placeholder for %#v and unknown verbs too. But fmt does not call it for %p,
// and prints the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (Secret) String() string { return redacted }

// MarshalText returns the placeholder for encoding/json and log/slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const maxSecretFile = 64 << 10 // bytes

// readSecretFile returns the content of a file without trailing newlines. Its errors are predicates
// to a setting's name and contain neither the path nor the content: the path may be the secret
// itself, entered in the wrong variable.
func readSecretFile(path string) (string, error) {
	// Without O_NONBLOCK, a named pipe would block the startup forever.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return "", readError(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", readError(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("must name a regular file")
	}
	// If others can read the file, every account of the machine can sign tokens. If others can
	// write it, every account can choose the key. A group may have access, because containers get
	// secrets that way.
	if info.Mode().Perm()&0o006 != 0 {
		return "", errors.New("must name a file that others can neither read nor write. Run chmod o-rw on it")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", readError(err)
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

func readError(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// parseSecretKeys splits SECRET_KEYS. The first key signs, all verify.
func parseSecretKeys(text string) (any, error) {
	var keys []Secret
	seen := map[string]bool{}
	for i, key := range splitList(text) {
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

// Lines are secrets that another service has chosen, one per line, because they can contain any
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
