package credentials

import (
	"context"
	"errors"
	"slices"
)

// Build holds the options for building a file of breached passwords. Its memory is bounded for a
// list of any size: Chunk entries at a time are sorted and written to a temporary file next to the
// result, and the sorted chunks are merged at the end. A list that is already sorted needs no
// merge, and no more disk space than the result.
type Build struct {
	MinCount int64 // the fewest occurrences of a password that is included
	Chunk    int   // entries, of 8 bytes each
	// Reading and Merging are called with the number of bytes read, or of entries merged, since the
	// last call. An error that they return stops the build.
	Reading, Merging func(n int64) error
}

// Run writes the file and returns the number of its entries. The file appears under its name only
// when it is complete; an older file of that name is replaced.
func (b Build) Run(ctx context.Context, source *BreachedSource, path string) (count int64, err error) {
	spool, err := newSpool(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, spool.discard()) }()
	if err := b.fill(ctx, source, spool); err != nil {
		return 0, err
	}
	if len(spool.runs) == 1 {
		return spool.count, spool.publish(path)
	}
	merged, err := newSpool(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, merged.discard()) }()
	if err := b.merge(ctx, spool, merged); err != nil {
		return 0, err
	}
	return merged.count, merged.publish(path)
}

// ErrNoBreached means that no line of the list is included.
var ErrNoBreached = errors.New("the list has no password that occurs that often: check the list and --min-count")

// fill reads the source into sorted runs.
func (b Build) fill(ctx context.Context, source *BreachedSource, spool *spool) error {
	chunk := make([]uint64, 0, b.Chunk)
	flush := func() error {
		slices.Sort(chunk)
		err := spool.writeRun(slices.Compact(chunk))
		chunk = chunk[:0]
		return err
	}
	err := source.read(ctx, b.MinCount, func(entry uint64) error {
		if chunk = append(chunk, entry); len(chunk) < cap(chunk) {
			return nil
		}
		return flush()
	}, b.Reading)
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	if spool.count == 0 {
		return ErrNoBreached
	}
	return spool.out.Flush()
}

// checkEvery is how many entries are merged between two checks of the context.
const checkEvery = 1 << 16

// merge writes the entries of all runs in order, each once.
func (b Build) merge(ctx context.Context, from, to *spool) error {
	h, err := from.readers()
	if err != nil {
		return err
	}
	for n := int64(1); len(h) > 0; n++ {
		if err := to.write(h[0].entry); err != nil {
			return err
		}
		if err := h.next(); err != nil {
			return err
		}
		if n%checkEvery == 0 {
			if err := errors.Join(ctx.Err(), b.Merging(checkEvery)); err != nil {
				return err
			}
		}
	}
	return nil
}
