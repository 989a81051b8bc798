//go:build race

package accounts_test

// slowdown is by how much the race detector slows a computation down.
const slowdown = 10
