//go:build race

package accounts_test

// slowdown is the factor by which the race detector slows a computation down.
const slowdown = 10
