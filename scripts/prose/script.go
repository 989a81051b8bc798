package main

import "strings"

// scriptComments returns the comments of JavaScript and TypeScript.
func scriptComments(text string) []block {
	s := script{text: text, line: 1}
	s.code(false)
	return join(s.comments, strings.Split(text, "\n"))
}

// script is a lexer that knows as much of JavaScript as is needed to find its comments: strings,
// templates and regular expressions.
type script struct {
	text     string
	at, line int
	last     byte   // the last character of code that is not a space
	word     string // the last word of code, if it ends with last
	lastLine int    // the line of last
	comments []comment
}

// code reads code until the end of the text or, in a template, until the brace that ends the code.
func (s *script) code(inTemplate bool) {
	depth := 0
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "//"):
			s.comment(rest, "\n", 0)
		case strings.HasPrefix(rest, "/*"):
			s.comment(rest, "*/", 2)
		case c == '"' || c == '\'' || c == '/' && s.expectsOperand():
			s.literal(c)
		case c == '`':
			s.template()
		case c == '}' && inTemplate && depth == 0:
			s.next()
			return
		default:
			switch c {
			case '{':
				depth++
			case '}':
				depth--
			}
			s.next()
		}
	}
}

// next reads a character of code.
func (s *script) next() {
	c := s.text[s.at]
	s.at++
	switch c {
	case '\n':
		s.line++
	case ' ', '\t', '\r':
	default:
		if !isLetter(c) {
			s.word = ""
		} else if s.at < 2 || !isLetter(s.text[s.at-2]) {
			s.word = string(c)
		} else {
			s.word += string(c)
		}
		s.last, s.lastLine = c, s.line
	}
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
}

// expectsOperand reports whether a value is expected, so that a slash starts a regular expression
// and is not a division.
func (s *script) expectsOperand() bool {
	switch s.word {
	case "return", "typeof", "case", "in", "of", "do", "else", "await", "yield":
		return true
	}
	return s.last == 0 || strings.IndexByte("=(,:[!&|?{};+-*%<>~^", s.last) >= 0
}

// comment reads a comment, whose end has the given length.
func (s *script) comment(rest, end string, length int) {
	stop := strings.Index(rest, end)
	if stop < 0 {
		stop, length = len(rest), 0
	}
	literal := rest[:stop+length]
	c := newComment(s.line, literal, s.lastLine != s.line)
	if strings.HasPrefix(strings.TrimSpace(c.text), "@ts-") {
		_, c.text, _ = strings.Cut(strings.TrimSpace(c.text), " ")
	}
	s.comments = append(s.comments, c)
	s.at += len(literal)
	s.line += strings.Count(literal, "\n")
}

// literal reads a string or a regular expression, which ends at the same character or at the end of
// the line.
func (s *script) literal(quote byte) {
	inClass := false
	for s.at++; s.at < len(s.text) && s.text[s.at] != '\n'; s.at++ {
		switch c := s.text[s.at]; {
		case c == '\\':
			s.at++
		case quote == '/' && c == '[':
			inClass = true
		case quote == '/' && c == ']':
			inClass = false
		case c == quote && !inClass:
			s.at++
			s.last, s.word, s.lastLine = '"', "", s.line
			return
		}
	}
}

// template reads a template literal with the code in it.
func (s *script) template() {
	for s.at++; s.at < len(s.text); {
		switch {
		case s.text[s.at] == '\\':
			s.at += 2
		case s.text[s.at] == '`':
			s.at++
			s.last, s.word, s.lastLine = '"', "", s.line
			return
		case strings.HasPrefix(s.text[s.at:], "${"):
			s.at += 2
			s.last, s.word = '{', ""
			s.code(true)
		default:
			if s.text[s.at] == '\n' {
				s.line++
			}
			s.at++
		}
	}
}
