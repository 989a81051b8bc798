package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Limit is a rate limit that allows N events in a window of length Per, which starts with the
// first event. The zero Limit is disabled and allows all events.
type Limit struct {
	N   int           // 1 to 1,000,000, or 0
	Per time.Duration // 1 s to 24 h in whole seconds, or 0
}

const maxLimit = 1_000_000

var errLimit = errors.New("must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds")

// parseLimit parses N/duration, or 0.
func parseLimit(text string) (any, error) {
	if text == "0" {
		return Limit{}, nil
	}
	digits, span, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n > maxLimit {
		return nil, errLimit
	}
	per, err := parseDuration(span)
	if err != nil || per < time.Second || per > day || !isWholeSeconds(per) {
		return nil, errLimit
	}
	if n == 0 {
		return Limit{}, nil
	}
	return Limit{int(n), per}, nil
}
