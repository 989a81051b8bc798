package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// width fits most terminals.
const width = 98

func write(out io.Writer, line string) { _, _ = fmt.Fprintln(out, line) }

func (s *story) title() {
	write(s.out, "")
	head := "== " + s.name + " "
	write(s.out, head+strings.Repeat("=", width-len(head)))
	paragraph(s.out, "", s.about)
}

// paragraph wraps a text; the lines after the first are indented to the width of head.
func paragraph(out io.Writer, head, text string) {
	line, indent := head, strings.Repeat(" ", utf8.RuneCountInString(head))
	blank := ""
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line+blank+word) > width {
			write(out, line)
			line, blank = indent, ""
		}
		line, blank = line+blank+word, " "
	}
	write(out, line)
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }
