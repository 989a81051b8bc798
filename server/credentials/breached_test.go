package credentials

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func sha1Of(password string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(password))) }

// passwords returns n passwords. Their hashes are in no particular order.
func passwords(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("breached password %d", i)
	}
	return list
}

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func build(t testing.TB, b Build, from, to string) (int64, error) {
	t.Helper()
	source, err := FindBreached(from)
	if err != nil {
		return 0, err
	}
	nothing := func(int64) error { return nil }
	if b.MinCount == 0 {
		b.MinCount = 1
	}
	if b.Chunk == 0 {
		b.Chunk = 7
	}
	if b.Reading == nil {
		b.Reading = nothing
	}
	b.Merging = nothing
	return b.Run(t.Context(), source, to)
}

func open(t testing.TB, path string) *Breached {
	t.Helper()
	b, err := OpenBreached(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func wantContains(t *testing.T, b *Breached, password string, want bool) {
	t.Helper()
	if got, err := b.Contains(password); err != nil || got != want {
		t.Errorf("%q: %t, %v; want %t", password, got, err, want)
	}
}

// wantOnlyFiles fails if the folder contains anything but the given names: temporary files must
// always be removed.
func wantOnlyFiles(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("the file %s remains", e.Name())
		}
	}
}

func TestBreachedPasswordsAreFoundInEveryFormatOfTheList(t *testing.T) {
	t.Attr("control", "201")
	const n = 1000
	var lines []string
	ranges := map[string]string{}
	for i, p := range passwords(n) {
		lines = append(lines, fmt.Sprintf("%s:%d", sha1Of(p), i%5+1))
	}
	sorted := slices.Sorted(slices.Values(lines))
	for _, line := range sorted {
		ranges[line[:5]] += line[5:] + "\r\n"
	}
	folder := t.TempDir()
	for prefix, content := range ranges {
		write(t, filepath.Join(folder, prefix+".txt"), content+strings.Repeat("0", 35)+":0\r\n") // padding
	}
	write(t, filepath.Join(folder, "README.txt"), "not a range")
	file := func(content string) string { return write(t, filepath.Join(t.TempDir(), "list.txt"), content) }
	for name, from := range map[string]string{
		"sorted":             file(strings.Join(sorted, "\n")),
		"not sorted":         file(strings.Join(lines, "\n") + "\n"),
		"lower case, CRLF":   file("\ufeff" + strings.ToLower(strings.Join(lines, "\r\n")) + "\r\n\r\n"),
		"each twice":         file(strings.Join(lines, "\n") + "\n" + strings.Join(sorted, "\n")),
		"each twice, sorted": file(strings.Join(slices.Sorted(slices.Values(append(slices.Clone(lines), lines...))), "\n")),
		"ranges":             folder,
	} {
		for _, chunk := range []int{1, 7, n, 3 * n} {
			t.Run(fmt.Sprintf("%s, %d at a time", name, chunk), func(t *testing.T) {
				to := filepath.Join(t.TempDir(), "breached.bin")
				if count, err := build(t, Build{Chunk: chunk}, from, to); err != nil || count != n {
					t.Fatal(count, err)
				}
				wantOnlyFiles(t, filepath.Dir(to), "breached.bin")
				b := open(t, to)
				if b.Count() != n {
					t.Errorf("%d entries", b.Count())
				}
				for _, p := range passwords(n) {
					wantContains(t, b, p, true)
					wantContains(t, b, p+"!", false)
				}
			})
		}
	}
}

func TestBreachedBuildKeepsPasswordsFromMinCount(t *testing.T) {
	dir := t.TempDir()
	from := write(t, filepath.Join(dir, "list"), sha1Of("often")+":1000\n"+sha1Of("seldom")+":9\n"+sha1Of("once")+"\n"+sha1Of("padding")+":0\n")
	for least, want := range map[int64][]string{1: {"often", "seldom", "once"}, 9: {"often", "seldom"}, 10: {"often"}} {
		to := filepath.Join(dir, "out")
		if count, err := build(t, Build{MinCount: least}, from, to); err != nil || count != int64(len(want)) {
			t.Fatal(least, count, err)
		}
		b := open(t, to)
		for _, p := range []string{"often", "seldom", "once", "padding"} {
			wantContains(t, b, p, slices.Contains(want, p))
		}
	}
	if _, err := build(t, Build{MinCount: 1001}, from, filepath.Join(dir, "none")); !errors.Is(err, ErrNoBreached) {
		t.Error(err)
	}
	wantOnlyFiles(t, dir, "list", "out")
}

// A build that fails leaves no file behind and keeps an existing one.
func TestFailedBreachedBuildLeavesNoFile(t *testing.T) {
	hash := sha1Of("x")
	for name, content := range map[string]string{
		"a password":           hash + "\nhunter2hunter2\n",
		"too short":            hash + "\n" + hash[:39] + ":1",
		"too long":             hash + "\n" + hash + "0:1",
		"NTLM":                 hash + "\n" + hash[:32] + ":1",
		"no hexadecimal digit": hash + "\n" + hash[:39] + "G",
		"no count":             hash + "\n" + hash + ":",
		"a negative count":     hash + "\n" + hash + ":-1",
		"an endless line":      hash + "\n" + strings.Repeat("A", 3<<20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			to := write(t, filepath.Join(dir, "out"), "the old one")
			_, err := build(t, Build{}, write(t, filepath.Join(dir, "list"), content), to)
			if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
			if old, err := os.ReadFile(to); err != nil || string(old) != "the old one" {
				t.Error(string(old), err)
			}
			wantOnlyFiles(t, dir, "list", "out")
		})
	}
	dir := t.TempDir()
	if _, err := build(t, Build{}, dir, filepath.Join(dir, "out")); err == nil || !strings.Contains(err.Error(), "21BD1") {
		t.Error("a folder without ranges:", err)
	}
	if _, err := build(t, Build{}, filepath.Join(dir, "none"), filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	list := write(t, filepath.Join(dir, "list"), strings.Repeat(hash+"\n", 100))
	stop := func(int64) error { return context.Canceled }
	if _, err := build(t, Build{Reading: stop}, list, filepath.Join(dir, "out")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wantOnlyFiles(t, dir, "list")
}

func TestBreachedFileIsCheckedAtStartup(t *testing.T) {
	t.Attr("control", "201")
	dir := t.TempDir()
	var lines strings.Builder
	for _, p := range passwords(5000) {
		lines.WriteString(sha1Of(p) + "\n")
	}
	good := filepath.Join(dir, "good")
	if _, err := build(t, Build{Chunk: 1000}, write(t, filepath.Join(dir, "list"), lines.String()), good); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, bytes ...byte) string {
		changed := slices.Clone(content)
		copy(changed[at:], bytes)
		return string(changed)
	}
	swapped := slices.Clone(content)
	first, last := swapped[breachedHeader:breachedHeader+8], swapped[len(swapped)-8:]
	for i := range first {
		first[i], last[i] = last[i], first[i]
	}
	for name, test := range map[string]struct{ content, want string }{
		"empty":            {"", "was not written by"},
		"the list itself":  {lines.String(), "was not written by"},
		"half a header":    {string(content[:20]), "was not written by"},
		"another version":  {with(19, 9), "format 9"},
		"another width":    {with(23, 6), "entries of 6 bytes"},
		"no entry":         {with(breachedHeader-8, make([]byte, 8)...)[:breachedHeader], "not complete"},
		"cut off":          {string(content[:len(content)-8]), "not complete"},
		"half an entry":    {string(content[:len(content)-3]), "not complete"},
		"more than it has": {string(content) + "12345678", "not complete"},
		"a count too high": {with(24, 0xff), "not complete"},
		"not sorted":       {string(swapped), "not sorted"},
		"zeros":            {string(content[:breachedHeader]) + strings.Repeat("\x00", len(content)-breachedHeader), "not sorted"},
	} {
		b, err := OpenBreached(write(t, filepath.Join(dir, "bad"), test.content))
		if err == nil {
			_ = b.Close()
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenBreached(dir); err == nil {
		t.Error("a folder was accepted")
	}
	if _, err := OpenBreached(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A file that becomes unreadable causes an error, and never the answer "not in the list".
func TestUnreadableBreachedFileIsAnError(t *testing.T) {
	t.Attr("control", "201")
	dir := t.TempDir()
	to := filepath.Join(dir, "out")
	if _, err := build(t, Build{}, write(t, filepath.Join(dir, "list"), sha1Of("a")+"\n"+sha1Of("b")), to); err != nil {
		t.Fatal(err)
	}
	b := open(t, to)
	wantContains(t, b, "a", true)
	if err := os.Truncate(to, breachedHeader); err != nil {
		t.Fatal(err)
	}
	if found, err := b.Contains("a"); !errors.Is(err, io.EOF) || found {
		t.Error(found, err)
	}
}

// sparse is a file of n entries. The value of each is its position, so that no test needs 8 GB.
type sparse struct {
	n     int64
	mu    sync.Mutex
	reads int
}

func (s *sparse) ReadAt(p []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	i := uint64(at-breachedHeader) / breachedWidth
	binary.BigEndian.PutUint64(p, i*(^uint64(0)/uint64(s.n)))
	return len(p), nil
}

func TestBreachedReadsAreBounded(t *testing.T) {
	const n = 1_000_000_000
	file := &sparse{n: n}
	b := &Breached{file: file, count: n}
	if err := b.checkOrder(); err != nil || file.reads > 1001 {
		t.Error(err, file.reads, "reads at startup")
	}
	file.reads = 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				wantContains(t, b, fmt.Sprint(i, j), false)
			}
		})
	}
	all.Wait()
	if file.reads > 800*30 {
		t.Errorf("%d reads for 800 passwords", file.reads)
	}
}

func TestBreachedIsSafeForConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	var lines strings.Builder
	for _, p := range passwords(500) {
		lines.WriteString(sha1Of(p) + "\n")
	}
	to := filepath.Join(dir, "out")
	if _, err := build(t, Build{}, write(t, filepath.Join(dir, "list"), lines.String()), to); err != nil {
		t.Fatal(err)
	}
	b := open(t, to)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, p := range passwords(500) {
				wantContains(t, b, p, true)
				wantContains(t, b, p+"?", false)
			}
		})
	}
	all.Wait()
}

// The figures are for the help of "accountsd breached-passwords build": run the benchmark with
// -benchtime 1x.
func BenchmarkBreached(b *testing.B) {
	const n = 4_000_000
	dir := b.TempDir()
	source := rand.New(rand.NewPCG(1, 1))
	var unsorted strings.Builder
	for range n {
		fmt.Fprintf(&unsorted, "%016X%016X%08X:3\n", source.Uint64(), source.Uint64(), source.Uint32())
	}
	list := write(b, filepath.Join(dir, "unsorted"), unsorted.String())
	lines := strings.Split(strings.TrimSpace(unsorted.String()), "\n")
	slices.Sort(lines)
	sorted := write(b, filepath.Join(dir, "sorted"), strings.Join(lines, "\n"))
	for _, from := range []string{list, sorted} {
		b.Run(filepath.Base(from), func(b *testing.B) {
			for b.Loop() {
				if _, err := build(b, Build{Chunk: n / 16}, from, filepath.Join(dir, "out")); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e6/n, "s/million")
		})
	}
	file := open(b, filepath.Join(dir, "out"))
	b.Run("Contains", func(b *testing.B) {
		for i := range b.N {
			if _, err := file.Contains(fmt.Sprint(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
