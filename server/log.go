package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

// NewLog returns a logger that writes one line of JSON per record. JSON escapes line breaks, so no
// value can forge a second record. Times are in UTC, so that the lines of machines in different
// time zones can be sorted. A record above the level info flushes w if w is a [LogBuffer].
func NewLog(w io.Writer, level slog.Level) *slog.Logger {
	buffer, _ := w.(*LogBuffer)
	return slog.New(logHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), buffer})
}

// logHandler is the handler of [NewLog].
type logHandler struct {
	slog.Handler
	buffer *LogBuffer // nil if lines are not buffered
}

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, inUTC(r))
	if h.buffer != nil && r.Level > slog.LevelInfo {
		err = errors.Join(err, h.buffer.Flush())
	}
	return err
}

// inUTC returns the record with its times in UTC. Few records have a time as an attribute.
func inUTC(r slog.Record) slog.Record {
	hasTime := false
	r.Attrs(func(a slog.Attr) bool {
		hasTime = a.Value.Kind() == slog.KindTime
		return !hasTime
	})
	if !hasTime {
		r.Time = r.Time.UTC()
		return r
	}
	converted := slog.NewRecord(r.Time.UTC(), r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindTime {
			a.Value = slog.TimeValue(a.Value.Time().UTC())
		}
		converted.AddAttrs(a)
		return true
	})
	return converted
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs), h.buffer}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name), h.buffer}
}

const (
	logBufferSize = 64 << 10
	// logDelay is how long a line may wait in the buffer. A crash loses the lines of that time.
	logDelay = 100 * time.Millisecond
)

// LogBuffer collects the lines of a log and writes many of them with one system call, because a
// call for each request costs several percent of all CPU time. It writes whole lines only: after
// logDelay, when the buffer is full, and in Flush. It is safe for concurrent use.
type LogBuffer struct {
	to    io.Writer
	timer *time.Timer // flushes; stopped while the buffer is empty

	mu    sync.Mutex
	lines []byte
	err   error // of the writer since the last Flush, which reports it
}

// NewLogBuffer returns a buffer in front of a writer. Flush it before the process ends.
func NewLogBuffer(to io.Writer) *LogBuffer {
	b := &LogBuffer{to: to, lines: make([]byte, 0, logBufferSize)}
	b.timer = time.AfterFunc(time.Hour, b.flushLate)
	b.timer.Stop()
	return b
}

// Write adds a line. It waits for the writer only if the buffer is full or being flushed.
func (b *LogBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines)+len(line) > logBufferSize {
		b.flush()
	}
	if len(b.lines) == 0 {
		b.timer.Reset(logDelay)
	}
	b.lines = append(b.lines, line...)
	return len(line), nil
}

// Flush writes the lines that wait. Errors: those of the writer since the last Flush; the lines are
// lost then.
func (b *LogBuffer) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	err := b.err
	b.err = nil
	return err
}

func (b *LogBuffer) flushLate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

// flush writes the lines while the lock is held, so that the lines of two flushes do not mix.
func (b *LogBuffer) flush() {
	if len(b.lines) > 0 {
		if _, err := b.to.Write(b.lines); err != nil {
			b.err = err
		}
		b.lines = b.lines[:0]
	}
	b.timer.Stop()
	if cap(b.lines) > 2*logBufferSize { // after a line that is longer than the buffer
		b.lines = make([]byte, 0, logBufferSize)
	}
}
