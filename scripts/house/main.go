// Command house measures the structure of the code and fails beyond its limits.
//
//	scripts/run.sh house
//
// It reads the product's Go packages, without tests and generated files, README.md, and the files
// that call go. The limits are in limits.go, with the reason for each. The exit status is 1 if a number is beyond its limit.
package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

func main() {
	if len(os.Args) > 1 {
		_, _ = fmt.Fprintln(os.Stderr, "house: takes no arguments")
		os.Exit(2)
	}
	m, err := measure(".")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
	rows := evaluate(m)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	faults := 0
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%d\tat most %d\t%s\n", r.name, r.value, r.limit, r.verdict())
		faults += len(r.faults)
	}
	_ = table.Flush()
	for _, r := range rows {
		for _, fault := range r.faults {
			_, _ = fmt.Printf("%s: %s\n", r.name, fault)
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}
