package credentials

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// spool is a file of breached passwords that is being written in runs of ascending entries.
type spool struct {
	file  *os.File
	out   *bufio.Writer
	count int64   // entries
	runs  []int64 // the index of the first entry of each
	last  uint64
}

const spoolBuffer = 1 << 20

// newSpool creates a temporary file next to path, with room for the header.
func newSpool(path string) (*spool, error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".breached-*")
	if err != nil {
		return nil, err
	}
	s := &spool{file: file, out: bufio.NewWriterSize(file, spoolBuffer)}
	if _, err := s.out.Write(make([]byte, breachedHeader)); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

// writeRun writes sorted entries. They extend the last run if they are greater than its last entry.
func (s *spool) writeRun(entries []uint64) error {
	if len(entries) == 0 {
		return nil
	}
	if s.count > 0 && entries[0] == s.last {
		entries = entries[1:]
	}
	if len(entries) > 0 && (s.count == 0 || entries[0] < s.last) {
		s.runs = append(s.runs, s.count)
	}
	for _, entry := range entries {
		if err := s.add(entry); err != nil {
			return err
		}
	}
	return nil
}

// write writes an entry that is not less than the last one. It skips a duplicate.
func (s *spool) write(entry uint64) error {
	if s.count > 0 && entry == s.last {
		return nil
	}
	return s.add(entry)
}

func (s *spool) add(entry uint64) error {
	s.last = entry
	s.count++
	_, err := s.out.Write(binary.BigEndian.AppendUint64(s.out.AvailableBuffer(), entry))
	return err
}

// publish writes the header and renames the file to its final name. All users of the machine may
// read it: it contains public data, and the server need not run as the user who built it.
func (s *spool) publish(path string) error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	header := binary.BigEndian.AppendUint32([]byte(breachedMagic), breachedVersion)
	header = binary.BigEndian.AppendUint32(header, breachedWidth)
	header = binary.BigEndian.AppendUint64(header, uint64(s.count))
	if _, err := s.file.WriteAt(header, 0); err != nil {
		return err
	}
	const readable = 0o644
	if err := errors.Join(s.file.Chmod(readable), s.file.Sync()); err != nil {
		return err
	}
	return os.Rename(s.file.Name(), path)
}

// discard closes the file and removes it unless it has been published.
func (s *spool) discard() error {
	if err := os.Remove(s.file.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, s.file.Close())
	}
	return s.file.Close()
}

// readers returns a reader at the first entry of each run.
func (s *spool) readers() (runHeap, error) {
	var h runHeap
	for i, from := range s.runs {
		to := s.count
		if i+1 < len(s.runs) {
			to = s.runs[i+1]
		}
		r := &run{in: bufio.NewReaderSize(io.NewSectionReader(s.file, breachedHeader+from*breachedWidth, (to-from)*breachedWidth), runBuffer)}
		if _, err := r.advance(); err != nil {
			return nil, err
		}
		h = append(h, r)
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
	return h, nil
}

const runBuffer = 1 << 18

// run reads one run of a spool.
type run struct {
	in    *bufio.Reader
	entry uint64
}

// advance reads the next entry. It reports whether there is one.
func (r *run) advance() (bool, error) {
	var entry [breachedWidth]byte
	if _, err := io.ReadFull(r.in, entry[:]); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	r.entry = binary.BigEndian.Uint64(entry[:])
	return true, nil
}

// runHeap is a heap of runs with the least entry first.
type runHeap []*run

// next advances the first run and restores the order.
func (h *runHeap) next() error {
	more, err := (*h)[0].advance()
	if err != nil {
		return err
	}
	if !more {
		last := len(*h) - 1
		(*h)[0] = (*h)[last]
		*h = (*h)[:last]
	}
	h.sink(0)
	return nil
}

// sink moves the run at i down to its place.
func (h runHeap) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].entry < h[least].entry {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
