package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden transcript")

const golden = "testdata/transcript.golden"

// TestTranscriptEqualsGoldenFile checks that transcripts differ only in tokens, ids and seconds.
// Equal tokens are masked by equal numbers, so the comparison includes which tokens are the same
// and which are new.
func TestTranscriptEqualsGoldenFile(t *testing.T) {
	begin := time.Now()
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if took := time.Since(begin); took > 2*time.Minute {
		t.Errorf("the demo took %s", took)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
	got := mask(out.String())
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the transcript has changed (-want +got; go test ./scripts/demo -update updates it):\n%s", diff)
	}
}

var (
	tokenEnd = regexp.MustCompile(`…[A-Za-z0-9_-]{6}`)
	seconds  = regexp.MustCompile(`(Max-Age |expires_in, refresh_in +)\d+(, \d+)?`)
)

// mask replaces each secret by a number, in the order of first appearance within a transport.
func mask(text string) string {
	parts := strings.Split(text, "\n== ")
	for i, part := range parts {
		numbers := map[string]string{}
		part = tokenEnd.ReplaceAllStringFunc(part, func(end string) string {
			if numbers[end] == "" {
				numbers[end] = fmt.Sprintf("…[%d]", len(numbers)+1)
			}
			return numbers[end]
		})
		parts[i] = seconds.ReplaceAllString(part, "${1}N")
	}
	return strings.Join(parts, "\n== ")
}
