package outbox_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests. There are no exceptions.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
