package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/accounts/models"
)

func (p process) migrate() *cobra.Command {
	c := &cobra.Command{Use: "migrate", Short: "Migrate the database schema", Args: cobra.NoArgs}
	c.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Apply the missing migrations; safe to run on several replicas at once", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.withStore(c.Context(), func(ctx context.Context, s *models.Store) error {
					n, err := s.Migrate(ctx)
					if err != nil {
						return fmt.Errorf("cannot migrate the database: %w", models.Cause(err))
					}
					_, err = fmt.Fprintf(p.out, "%d migrations applied\n", n)
					return err
				})
			},
		},
		&cobra.Command{
			Use: "status", Short: "Print the schema version; exit with status 1 if it is too old", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				p.mustExist = true
				return p.withStore(c.Context(), p.schemaStatus)
			},
		},
	)
	return c
}

func (p process) schemaStatus(ctx context.Context, s *models.Store) error {
	schema, err := s.Schema(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the version of the database schema: %w", models.Cause(err))
	}
	if _, err := fmt.Fprintf(p.out, "schema version %d, needed %d\n", schema.Current, schema.Needed); err != nil {
		return err
	}
	if !schema.OK() {
		return errors.New("the database schema is too old: run \"accountsd migrate up\"")
	}
	return nil
}

// withStore opens the database without migrating it.
func (p process) withStore(ctx context.Context, f func(context.Context, *models.Store) error) (err error) {
	cfg, log, err := p.config()
	if err != nil {
		return err
	}
	if err := p.findDatabase(cfg); err != nil {
		return err
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	reportDatabase(p.err, cfg)
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(ctx, store)
}
