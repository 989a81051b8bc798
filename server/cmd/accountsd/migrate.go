package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/accounts/models"
)

func (p process) migrate() *cobra.Command {
	c := &cobra.Command{Use: "migrate", Short: "Bring the database's schema up to date", Args: cobra.NoArgs}
	c.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Make the migrations that are missing; any number of replicas may do so at once", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.withStore(c.Context(), func(ctx context.Context, s *models.Store) error {
					n, err := s.Migrate(ctx)
					if err != nil {
						return fmt.Errorf("cannot migrate the database: %w", models.Cause(err))
					}
					_, err = fmt.Fprintf(p.out, "%d migrations made\n", n)
					return err
				})
			},
		},
		&cobra.Command{
			Use: "status", Short: "Print the schema's version; exit status 1 if it is too old", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return p.withStore(c.Context(), p.schemaStatus) },
		},
	)
	return c
}

func (p process) schemaStatus(ctx context.Context, s *models.Store) error {
	schema, err := s.Schema(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the schema's version: %w", models.Cause(err))
	}
	if _, err := fmt.Fprintf(p.out, "schema version %d, needed %d\n", schema.Current, schema.Needed); err != nil {
		return err
	}
	if !schema.OK() {
		return errors.New("the schema is too old: run \"accountsd migrate up\"")
	}
	return nil
}

// withStore opens the database without migrating it.
func (p process) withStore(ctx context.Context, f func(context.Context, *models.Store) error) (err error) {
	cfg, log, err := p.config()
	if err != nil {
		return err
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(ctx, store)
}
