package credentials

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the published lists contain SHA-1 hashes; it protects nothing here
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A file of breached passwords begins with a header of breachedHeader bytes:
//
//	 0  16 bytes  breachedMagic
//	16   4 bytes  breachedVersion, big-endian like all numbers
//	20   4 bytes  breachedWidth
//	24   8 bytes  number of entries
//
// The entries follow and fill the rest of the file: the first breachedWidth bytes of the SHA-1 of
// each password, in ascending order and without duplicates. A password that is not in the list
// matches one of n entries by chance with a probability of n/2^64, which is 5e-11 for a billion.
const (
	breachedMagic   = "accounts-breach\n"
	breachedVersion = 1
	breachedWidth   = 8
	breachedHeader  = 32
)

// Breached is a file of breached passwords, which [Build] writes. It is searched on disk and never
// loaded. It is safe for concurrent use.
type Breached struct {
	file  io.ReaderAt
	close func() error
	count int64
}

var errNoBreached = errors.New("was not written by \"accountsd breached-passwords build\": build the file with it")

// OpenBreached opens the file and checks its header, its length and the order of a sample of its
// entries.
func OpenBreached(path string) (*Breached, error) {
	file, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	b := &Breached{file: file, close: file.Close}
	if err := b.check(info); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %w", path, err), file.Close())
	}
	return b, nil
}

func (b *Breached) check(info os.FileInfo) error {
	header := make([]byte, breachedHeader)
	if _, err := b.file.ReadAt(header, 0); !info.Mode().IsRegular() || err != nil || !bytes.HasPrefix(header, []byte(breachedMagic)) {
		return errNoBreached
	}
	if v, w := binary.BigEndian.Uint32(header[16:]), binary.BigEndian.Uint32(header[20:]); v != breachedVersion || w != breachedWidth {
		return fmt.Errorf("has format %d with entries of %d bytes, and this program reads format %d with entries of %d bytes: build the file again", v, w, breachedVersion, breachedWidth)
	}
	count := binary.BigEndian.Uint64(header[24:])
	if size := info.Size() - breachedHeader; count == 0 || size%breachedWidth != 0 || uint64(size/breachedWidth) != count {
		return errors.New("is not complete: build the file again")
	}
	b.count = int64(count)
	return b.checkOrder()
}

// samples is the number of entries that are read at startup to check that the file is sorted.
const samples = 1000

func (b *Breached) checkOrder() error {
	step := max(1, b.count/samples)
	var last uint64
	for i := int64(0); i < b.count; i += step {
		entry, err := b.readEntry(i)
		if err != nil {
			return err
		}
		if i > 0 && entry <= last {
			return errors.New("is not sorted: build the file again")
		}
		last = entry
	}
	return nil
}

// Count returns the number of entries.
func (b *Breached) Count() int64 { return b.count }

// Close closes the file.
func (b *Breached) Close() error { return b.close() }

// Contains reports whether password is in the list. It reads at most 64 entries, about 30 in a list
// of a billion. An error means that the file cannot be read; the result is then meaningless.
func (b *Breached) Contains(password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	wanted := binary.BigEndian.Uint64(sum[:])
	from, to := int64(0), b.count
	for from < to {
		middle := from + (to-from)/2
		switch entry, err := b.readEntry(middle); {
		case err != nil:
			return false, err
		case entry == wanted:
			return true, nil
		case entry < wanted:
			from = middle + 1
		default:
			to = middle
		}
	}
	return false, nil
}

func (b *Breached) readEntry(i int64) (uint64, error) {
	var entry [breachedWidth]byte
	if _, err := b.file.ReadAt(entry[:], breachedHeader+i*breachedWidth); err != nil {
		return 0, fmt.Errorf("credentials: the list of breached passwords cannot be read: %w", err)
	}
	return binary.BigEndian.Uint64(entry[:]), nil
}
