package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"example.com/accounts/scripts/harness"
)

// compare measures this tree's server against that of another revision. The two take turns, each
// with a database of its own.
func compare(ctx context.Context, s settings) (err error) {
	dir, err := os.MkdirTemp("", "accounts-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	other := s
	if other.binary, err = buildRevision(ctx, dir, s.compare); err != nil {
		return err
	}
	now, err := prepareProduct(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, now.close()) }()
	before, err := prepareProduct(ctx, other)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, before.close()) }()
	fmt.Print(now.environment(ctx))
	return measureRevisions(ctx, s, now, before)
}

// prepareProduct prepares a server and starts it.
func prepareProduct(ctx context.Context, s settings) (*prepared, error) {
	p, err := prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	if p.product, err = p.startProduct(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// buildRevision builds accountsd of a revision, in a temporary work tree.
func buildRevision(ctx context.Context, dir, revision string) (binary string, err error) {
	tree := filepath.Join(dir, "tree")
	if err := harness.Run(ctx, os.Environ(), "", "git", "worktree", "add", "--detach", tree, revision); err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, harness.Run(context.WithoutCancel(ctx), os.Environ(), "", "git", "worktree", "remove", "--force", tree))
	}()
	return harness.BuildTree(ctx, tree, dir)
}

// measureRevisions runs the turns of two servers and prints the report.
func measureRevisions(ctx context.Context, s settings, now, before *prepared) error {
	var pairs []*pair
	for _, make := range []func(*prepared) (string, []step, error){
		func(p *prepared) (string, []step, error) { return p.profileReads(ctx) },
		func(p *prepared) (string, []step, error) { return p.refreshes(ctx, s.transport) },
		func(p *prepared) (string, []step, error) { name, steps := logins(); return name, steps, nil },
	} {
		name, ours, err := make(now)
		if err != nil {
			return err
		}
		_, theirs, err := make(before)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(name, s.only) {
			continue
		}
		pairs = append(pairs, &pair{name: name, product: now.productSide(ours), bare: before.productSide(theirs)})
		pairs[len(pairs)-1].bare.what = s.compare
	}
	if err := runPairs(ctx, s, pairs); err != nil {
		return err
	}
	report(os.Stdout, pairs)
	return refusals(pairs)
}
