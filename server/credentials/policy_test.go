package credentials

import (
	"errors"
	"strings"
	"testing"
)

func TestControl2And3CheckPolicy(t *testing.T) {
	for name, test := range map[string]struct{ password, code string }{
		"empty":                      {"", CodeTooShort},
		"11 code points":             {strings.Repeat("a", 11), CodeTooShort},
		"11 code points in 44 bytes": {strings.Repeat("🔑", 11), CodeTooShort},
		"12 code points":             {strings.Repeat("a", 12), ""},
		"12 spaces":                  {strings.Repeat(" ", 12), ""},
		"digits that count":          {"123456789012", CodeCommon},
		"digits that count down":     {"321098765432", CodeCommon},
		"one digit":                  {"777777777777", CodeCommon},
		"four digits, repeated":      {"1984198419841", CodeCommon},
		"digits":                     {"271828182845", ""},
		"dressed with symbols":       {"$$$password+^~ ", CodeCommon},
		"64 emoji":                   {strings.Repeat("🔑", 64), ""},
		"256 code points, 256 bytes": {strings.Repeat("a", 256), ""},
		"256 code points, 1024":      {strings.Repeat("🔑", 256), ""},
		"257 code points":            {strings.Repeat("a", 257), CodeTooLong},
		"1 MB":                       {strings.Repeat("a", 1<<20), CodeTooLong},
		"1 MB, not UTF-8":            {strings.Repeat("\xff", 1<<20), CodeTooLong},
		"NUL":                        {"correct horse\x00 battery", CodeInvalidFormat},
		"not UTF-8":                  {"correct horse \xc0\x80 battery", CodeInvalidFormat},
		"surrogate":                  {"correct horse \xed\xa0\x80 battery", CodeInvalidFormat},
		"short and not UTF-8":        {"\xff", CodeInvalidFormat},
		"composed é, 11":             {strings.Repeat("\u00e9", 11), CodeTooShort},
		"decomposed é, 11 letters":   {strings.Repeat("e\u0301", 11), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckPolicy(test.password, 12)
			var policy *PolicyError
			if errors.As(err, &policy); test.code == "" {
				if err != nil {
					t.Fatalf("got %v, want nil", err)
				}
			} else if policy == nil || policy.Code != test.code {
				t.Fatalf("got %v, want code %s", err, test.code)
			}
		})
	}
}
