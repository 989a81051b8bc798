package server_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.com/accounts/server/servertest"
)

// TestMain fails if a goroutine outlives the tests. There are no exceptions.
func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(coverageMain{m})
}

// coverageMain runs the tests and checks that they cover the contract.
type coverageMain struct{ *testing.M }

func (c coverageMain) Run() int {
	return servertest.Main(c.M, func() bool {
		part := partOfThePackage()
		if part != "" {
			fmt.Printf("the coverage is not enforced: this was a part of the package (%s)\n", part)
		}
		return part == ""
	})
}

// partOfThePackage returns the flag or the setting that excludes tests, or an empty string if all
// tests run.
func partOfThePackage() string {
	for _, name := range []string{"run", "skip", "list", "fuzz"} {
		if value := flag.Lookup("test." + name).Value.String(); value != "" {
			return "-" + name + " " + value
		}
	}
	if testing.Short() {
		return "-short"
	}
	engines := os.Getenv("TEST_ENGINES")
	for _, engine := range []servertest.Engine{servertest.SQLite, servertest.MySQL} {
		if engines != "" && !strings.Contains(engines, string(engine)) {
			return "TEST_ENGINES without " + string(engine)
		}
	}
	return ""
}
