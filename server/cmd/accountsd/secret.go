package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/accounts/server/config"
	"example.com/accounts/server/token"
)

func (p process) secret() *cobra.Command {
	c := &cobra.Command{Use: "secret", Short: "Generate secrets", Args: cobra.NoArgs}
	c.AddCommand(&cobra.Command{
		Use: "new", Short: "Print a new secret for ACCOUNTS_SECRET_KEYS", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			secret, err := token.NewSecret()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, secret)
			return err
		},
	})
	return c
}

func (p process) settings() *cobra.Command {
	return &cobra.Command{
		Use: "settings", Short: "Print every setting with its default and meaning", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return config.WriteSettings(p.out) },
	}
}

func (p process) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, "accountsd "+version)
			return err
		},
	}
}
