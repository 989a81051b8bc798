package mail

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

func TestFilesWritesEachMailOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "mail")
	var logged bytes.Buffer
	files, err := NewFiles(dir, sender, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	m := sample(Verify)
	for range 2 { // the second time is a repetition of the same mail
		if err := files.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "20260303T040506.789Z-verify-"+m.ID+".eml")
	if names := entries(t, dir); len(names) != 1 || names[0] != filepath.Base(path) {
		t.Fatalf("%q", names)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("\r\n"+link+"\r\n")) {
		t.Error("the link cannot be copied from the file")
	}
	if l := readLetter(t, data); l.headers() != allHeaders || !strings.Contains(l.text, link) {
		t.Errorf("%s", l.headers())
	}
	if strings.Count(logged.String(), "path="+path) != 2 {
		t.Errorf("the path is not logged: %s", &logged)
	}
	for _, private := range []string{m.To, m.Name, link, "token"} {
		if strings.Contains(logged.String(), private) {
			t.Errorf("%q is logged", private)
		}
	}
}

func TestFilesReportsFailures(t *testing.T) {
	dir := t.TempDir()
	files, err := NewFiles(dir, sender, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := sample(Reset)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := files.Send(canceled, m); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	bad := m
	bad.To = "a@b.co\r\nBcc: x@y.z"
	if err := files.Send(t.Context(), bad); !errors.Is(err, ErrPermanent) {
		t.Errorf("recipient: %v", err)
	}
	// A directory at the path cannot be replaced, so Send fails and must leave no temporary file.
	target := "20260303T040506.789Z-reset-" + m.ID + ".eml"
	if err := os.MkdirAll(filepath.Join(dir, target, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := files.Send(t.Context(), m); err == nil || errors.Is(err, ErrPermanent) || strings.Contains(err.Error(), m.To) {
		t.Errorf("not writable: %v", err)
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("remaining files: %q", names)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := files.Send(t.Context(), m); err == nil || errors.Is(err, ErrPermanent) {
		t.Errorf("without a directory: %v", err)
	}
	for _, test := range [][2]string{{dir, "nobody"}, {os.DevNull + "/mail", sender}} {
		if _, err := NewFiles(test[0], test[1], slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q is accepted", test)
		}
	}
}
