package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// flagsFile is the shell file with the flags of every build and test.
const flagsFile = "go-flags.sh"

var (
	// builders are the files and folders that call go.
	builders = []string{"Makefile", "Dockerfile", ".ci", "scripts"}
	// goCommand matches a go command whose flags select what is compiled.
	goCommand = regexp.MustCompile(`(^|[\s;&|(@=])go (-C \S+ )?(build|generate|install|run|test|tool|vet)\b`)
	// ownFlag matches what only flagsFile may state.
	ownFlag = regexp.MustCompile(`(^|[^-])-(trimpath|tags)\b|\bGOFLAGS\b`)
)

// readBuilders finds the places that call go without the flags of flagsFile, so that everything
// would be compiled a second time. Shell scripts, the Makefile and the Dockerfile must source
// flagsFile before they call go. Programs inherit the flags from the script that starts them. Nothing
// else states a flag.
func (m *measurements) readBuilders(root string) error {
	tree := os.DirFS(root)
	for _, builder := range builders {
		err := fs.WalkDir(tree, builder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && path == builder:
				return nil
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "node_modules" || path == "scripts/house"):
				return fs.SkipDir
			case entry.IsDir() || entry.Name() == flagsFile:
				return nil
			}
			text, err := fs.ReadFile(tree, path)
			m.flags = append(m.flags, flagFaults(path, string(text))...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// flagFaults returns the faults of one file. Comments may say anything.
func flagFaults(name, text string) (faults []string) {
	isProgram := slices.Contains([]string{".go", ".mjs"}, path.Ext(name))
	sourced := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, "//"):
		case strings.Contains(line, flagsFile):
			sourced = true
		case ownFlag.MatchString(line):
			faults = append(faults, fmt.Sprintf("%s:%d states a flag that belongs in scripts/%s", name, i+1, flagsFile))
		case !isProgram && !sourced && goCommand.MatchString(line):
			faults = append(faults, fmt.Sprintf("%s:%d calls go and has not sourced scripts/%s", name, i+1, flagsFile))
		}
	}
	return faults
}
