package server_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/accounts/server"
)

// lineWriter records what a buffer writes, and how often.
type lineWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	calls int
	err   error
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if w.err != nil {
		return 0, w.err
	}
	return w.text.Write(p)
}

func (w *lineWriter) setErr(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *lineWriter) lines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), "\n")
}

// Lines of the access log wait for at most a tenth of a second.
func TestLogBufferWritesAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &lineWriter{}
		log := server.NewLog(server.NewLogBuffer(to), slog.LevelInfo)
		for range 10 {
			log.Info("request")
			time.Sleep(5 * time.Millisecond)
		}
		if to.lines() != 0 {
			t.Errorf("%d lines after 50 ms, want none", to.lines())
		}
		time.Sleep(50*time.Millisecond + time.Microsecond)
		if to.lines() != 10 || to.calls != 1 {
			t.Errorf("%d lines in %d calls 100 ms after the first, want 10 in 1", to.lines(), to.calls)
		}
		time.Sleep(time.Hour)
		if to.calls != 1 {
			t.Errorf("%d calls, want none while the buffer is empty", to.calls)
		}
	})
}

// A warning is written at once, with the lines before it.
func TestLogBufferWritesWarningsAtOnce(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelError} {
		to := &lineWriter{}
		log := server.NewLog(server.NewLogBuffer(to), slog.LevelDebug)
		log.Debug("first")
		log.Info("second")
		log.With("a", 1).WithGroup("g").Log(t.Context(), level, "third", "b", 2)
		if text := to.text.String(); to.lines() != 3 || !strings.Contains(text, `"a":1,"g":{"b":2}}`) {
			t.Errorf("%s: the log is %s", level, text)
		}
	}
}

// No line is lost, torn or mixed with another, whatever its length and however many goroutines log.
func TestLogBufferKeepsEveryLineWhole(t *testing.T) {
	to := &lineWriter{}
	buffer := server.NewLogBuffer(to)
	log := server.NewLog(buffer, slog.LevelInfo)
	var all sync.WaitGroup
	for _, text := range []string{strings.Repeat("a", 10), strings.Repeat("b", 1000), strings.Repeat("c", 70_000), strings.Repeat("d", 200_000)} {
		all.Go(func() {
			for range 50 {
				log.Info("line", "text", text)
			}
		})
	}
	all.Wait()
	if err := buffer.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := len(records(t, to.text.String())); got != 200 {
		t.Errorf("%d lines, want 200", got)
	}
}

// An error of the writer is reported, and does not block later lines.
func TestLogBufferReportsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		to := &lineWriter{err: full}
		buffer := server.NewLogBuffer(to)
		log := server.NewLog(buffer, slog.LevelInfo)
		log.Info("lost")
		time.Sleep(time.Second)
		to.setErr(nil)
		log.Info("kept")
		if err := buffer.Flush(); !errors.Is(err, full) {
			t.Errorf("the error is %v, want that of the writer", err)
		}
		if err := buffer.Flush(); err != nil || to.lines() != 1 {
			t.Errorf("%d lines, error %v", to.lines(), err)
		}
	})
}
