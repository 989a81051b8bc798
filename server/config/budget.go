package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Budget allows N events in a span of Per that begins with the first. The zero Budget is switched off and
// allows all.
type Budget struct {
	N   int           // 1 to 1,000,000, or 0
	Per time.Duration // 1 s to 24 h in whole seconds, or 0
}

const maxBudget = 1_000_000

var errBudget = errors.New("must be 0 or N/duration such as 5/1h, N at most 1000000 and the duration from 1s to 24h in whole seconds")

// parseBudget reads N/duration, or 0 alone.
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
