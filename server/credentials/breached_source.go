package credentials

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// BreachedSource is a downloaded list of breached passwords in the format of Have I Been Pwned. It
// is either a file with a line SHA1:COUNT or SHA1 for each password, or a folder with one file for
// each first five hexadecimal digits of the hashes. Such a file is named after these digits, and
// its lines have the other 35.
type BreachedSource struct {
	files []rangeFile
	Size  int64 // bytes
}

// rangeFile is one file of a list. Its lines contain the hashes without prefix.
type rangeFile struct{ path, prefix string }

const (
	sha1Digits  = 40
	rangeDigits = 5 // in the name of a file
	hexDigits   = "0123456789abcdefABCDEF"
	lineBuffer  = 1 << 20
)

// FindBreached finds the files of a list and their size.
func FindBreached(path string) (*BreachedSource, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return &BreachedSource{[]rangeFile{{path: path}}, info.Size()}, nil
	}
	entries, err := os.ReadDir(path) // in the order of their names
	if err != nil {
		return nil, err
	}
	s := &BreachedSource{}
	for _, entry := range entries {
		if err := s.add(path, entry); err != nil {
			return nil, err
		}
	}
	if len(s.files) == 0 {
		return nil, fmt.Errorf("%s contains no file whose name is five hexadecimal digits, such as 21BD1 or 21BD1.txt", path)
	}
	return s, nil
}

// add adds a file of a folder if its name is that of a range.
func (s *BreachedSource) add(folder string, entry fs.DirEntry) error {
	prefix := strings.TrimSuffix(entry.Name(), ".txt")
	if len(prefix) != rangeDigits || strings.Trim(prefix, hexDigits) != "" || entry.IsDir() {
		return nil
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	s.files = append(s.files, rangeFile{filepath.Join(folder, entry.Name()), prefix})
	s.Size += info.Size()
	return nil
}

// read calls add with each entry that occurs at least minCount times, and progress with the number
// of bytes read since the last call.
func (s *BreachedSource) read(ctx context.Context, minCount int64, add func(uint64) error, progress func(int64) error) error {
	for _, f := range s.files {
		if err := f.read(ctx, minCount, add, progress); err != nil {
			return err
		}
	}
	return nil
}

func (f rangeFile) read(ctx context.Context, minCount int64, add func(uint64) error, progress func(int64) error) (err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(&countingReader{file, func(n int64) error { return errors.Join(ctx.Err(), progress(n)) }})
	lines.Buffer(make([]byte, lineBuffer), lineBuffer)
	n := 0
	for lines.Scan() {
		n++
		entry, count, ok := f.parse(lines.Bytes())
		if !ok {
			return f.lineError(n)
		}
		if count >= minCount {
			if err := add(entry); err != nil {
				return err
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return f.lineError(n + 1)
	}
	return lines.Err()
}

// lineError returns the error for a malformed line. It does not quote the line: the operator may
// have passed a list of passwords in plain text by mistake.
func (f rangeFile) lineError(n int) error {
	return fmt.Errorf("%s: line %d is not a SHA-1 in hexadecimal digits with or without :COUNT", f.path, n)
}

// parse parses a line. An empty line has the count 0, like the padding lines in the answers of Have
// I Been Pwned.
func (f rangeFile) parse(line []byte) (entry uint64, count int64, ok bool) {
	if line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff"))); len(line) == 0 {
		return 0, 0, true
	}
	count = 1
	digits, number, counted := bytes.Cut(line, []byte(":"))
	if counted {
		var err error
		if count, err = strconv.ParseInt(string(number), 10, 64); err != nil || count < 0 {
			return 0, 0, false
		}
	}
	if len(f.prefix)+len(digits) != sha1Digits {
		return 0, 0, false
	}
	var text [sha1Digits]byte
	copy(text[copy(text[:], f.prefix):], digits)
	var sum [sha1Digits / 2]byte
	if _, err := hex.Decode(sum[:], text[:]); err != nil {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(sum[:]), count, true
}

// countingReader calls count with the length of each read. It returns an error of count as a read
// error.
type countingReader struct {
	io.Reader
	count func(int64) error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if fault := c.count(int64(n)); fault != nil {
		return n, fault
	}
	return n, err
}
