package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

const healthTime = 3 * time.Second

// healthcheck returns a command for containers, which have no curl.
func (p process) healthcheck() *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Check whether the server at ACCOUNTS_ADDR is ready; exit with status 1 if not", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := p.config()
			if err != nil {
				return err
			}
			return checkReady(c.Context(), cfg.Addr)
		},
	}
}

func checkReady(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // it listens on every address, including this one
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{}} // ignores HTTP_PROXY
	answer, err := direct.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: /readyz answered %s", answer.Status)
	}
	return nil
}
