//go:build race

package accounts_test

// slowdown is how many times longer a computation takes under the race detector.
const slowdown = 10
