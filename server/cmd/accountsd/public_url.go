package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/accounts/server/config"
	"example.com/accounts/server/token"
)

const (
	publicTime = 10 * time.Second
	// maxKeys bounds the answer, which may come from any server if the URL is wrong.
	maxKeys = 1 << 20
)

// checkPublicURL requests the public keys at PUBLIC_URL and compares them with the configured secret.
// So it fails if a proxy leads to another server, or to one with other settings. It follows no
// redirect: a client that posts a password would not do so either.
func checkPublicURL(ctx context.Context, cfg config.Config) error {
	// keyRing would create the secret of a server that has never been started.
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "secret")); err != nil && len(cfg.SecretKeys) == 0 {
		return fmt.Errorf("the server has no secret yet; it creates one at its first start: %w", err)
	}
	ring, err := keyRing(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publicTime)
	defer cancel()
	served, err := fetchKeys(ctx, cfg.PublicURL+"/.well-known/jwks.json")
	if err != nil {
		return err
	}
	for _, theirs := range served.Keys {
		for _, ours := range ring.JWKS().Keys {
			if theirs == ours {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is answered by a server that has none of the secrets of these settings", cfg.PublicURL)
}

func fetchKeys(ctx context.Context, url string) (keys token.JWKS, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return keys, err
	}
	direct := &http.Client{ // ignores HTTP_PROXY
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := direct.Do(request)
	if err != nil {
		return keys, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("%s answered %s", url, answer.Status)
	}
	if json.NewDecoder(io.LimitReader(answer.Body, maxKeys)).Decode(&keys) != nil {
		return keys, errors.New(url + " is answered by another program: the response is not a set of keys")
	}
	return keys, nil
}
