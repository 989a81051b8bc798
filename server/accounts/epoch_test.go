package accounts

import "testing"

// Epochs start at random values that JSON and every engine store exactly.
func TestNewEpochIsStoredExactly(t *testing.T) {
	seen := map[int64]bool{}
	for range 100 {
		e := randomEpoch()
		if e < 0 || e >= 1<<48 || seen[e] {
			t.Fatalf("got the epoch %d", e)
		}
		seen[e] = true
	}
}
