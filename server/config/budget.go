package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Budget is a rate limit that allows N events in a window of length Per, which starts with the
// first event. The zero Budget is disabled and allows all events.
type Budget struct {
	N   int           // 1 to 1,000,000, or 0
	Per time.Duration // 1 s to 24 h in whole seconds, or 0
}

const maxBudget = 1_000_000

var errBudget = errors.New("must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds")

// parseBudget parses N/duration, or 0.
func parseBudget(text string) (any, error) {
	if text == "0" {
		return Budget{}, nil
	}
	digits, span, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n > maxBudget {
		return nil, errBudget
	}
	per, err := parseDuration(span)
	if err != nil || per < time.Second || per > day || !whole(per) {
		return nil, errBudget
	}
	if n == 0 {
		return Budget{}, nil
	}
	return Budget{int(n), per}, nil
}
