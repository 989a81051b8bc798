package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"example.com/accounts/server/credentials"
)

const breachedHelp = `Builds the file for ACCOUNTS_BREACHED_PASSWORDS from a downloaded list of breached passwords. The server rejects
these passwords as new passwords. It searches the file on disk and does not load it into memory.

The list contains SHA-1 hashes in hexadecimal, as published by Have I Been Pwned (https://haveibeenpwned.com/Passwords):
  - a file with one line per password, SHA1:COUNT or SHA1, in any order; or
  - a folder of ranges, with one file per five-digit prefix, named after the prefix (21BD1 or 21BD1.txt). Each line has the
    other 35 digits. Other files in the folder are ignored.

The file has 8 bytes per password, which is 8 GB for a billion passwords. A password that is not in the list is rejected by
mistake with a probability of 5e-11. The build uses up to 300 MB of memory. If the list is not sorted, the build also needs
temporary disk space for a second file of that size. --min-count leaves out passwords that are rare in breaches and makes the file
smaller.

An existing file is replaced atomically when the build is complete. A running server reads the old file until it is
restarted.`

// breachedChunk is the number of entries that are sorted in memory at a time: 64 MB.
const breachedChunk = 8 << 20

func (p process) breachedPasswords() *cobra.Command {
	c := &cobra.Command{Use: "breached-passwords", Short: "Build the list of breached passwords", Args: cobra.NoArgs}
	c.AddCommand(p.buildBreached())
	return c
}

func (p process) buildBreached() *cobra.Command {
	var from, to string
	var minCount int64
	c := &cobra.Command{
		Use: "build --from FILE|FOLDER --to FILE", Short: "Build the file for ACCOUNTS_BREACHED_PASSWORDS", Long: breachedHelp, Args: cobra.NoArgs,
		Example: `  accountsd breached-passwords build --from pwnedpasswords.txt --to breached.bin --min-count 2
  ACCOUNTS_BREACHED_PASSWORDS=breached.bin accountsd serve`,
		RunE: func(c *cobra.Command, _ []string) error {
			if minCount < 1 {
				return errors.New("--min-count must be at least 1")
			}
			count, err := p.runBuild(c.Context(), from, to, minCount)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "wrote %d breached passwords to %s\n", count, to)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "the downloaded list: a file, or a folder of ranges (required)")
	f.StringVar(&to, "to", "", "the file to write (required)")
	f.Int64Var(&minCount, "min-count", 1, "leave out passwords that occur in breaches less often than this")
	for _, name := range []string{"from", "to"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

func (p process) runBuild(ctx context.Context, from, to string, minCount int64) (int64, error) {
	source, err := credentials.FindBreached(from)
	if err != nil {
		return 0, err
	}
	reading := p.progress(max(1, source.Size), "reading", progressbar.OptionShowBytes(true))
	merging := p.progress(-1, "merging", progressbar.OptionShowCount())
	count, err := credentials.Build{
		MinCount: minCount, Chunk: breachedChunk, Reading: reading.Add64, Merging: merging.Add64,
	}.Run(ctx, source, to)
	return count, errors.Join(err, reading.Exit(), merging.Exit())
}

// progress returns a progress bar that is shown only on a terminal. A total of -1 means unknown.
func (p process) progress(total int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	out := io.Discard
	if file, ok := p.err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		out = file
	}
	return progressbar.NewOptions64(total, append(more, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0))...) // with an interval, each bar of unknown length has a goroutine of its own
}
