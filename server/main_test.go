package server_test

import (
	"flag"
	"os"
	"testing"

	"example.com/accounts/server/servertest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servertest.Main(m, func() bool {
		filter := flag.Lookup("test.run").Value.String()
		return filter == "" && os.Getenv("TEST_ENGINES") == ""
	}))
}
