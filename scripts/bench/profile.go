package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/accounts/scripts/harness"
)

// profiles are the files that profile writes for each kind of load, with the paths that they are
// read from.
var profiles = []struct{ name, path string }{
	{"cpu", "/debug/pprof/profile?seconds=%d"},
	{"allocs", "/debug/pprof/allocs?seconds=%d"}, // only what is allocated in that time
}

// profile starts the server with ACCOUNTS_PROFILING, applies the load of each pair, and writes the
// profiles to a folder.
func profile(ctx context.Context, s settings) (err error) {
	if err := os.MkdirAll(s.profile, 0o750); err != nil {
		return err
	}
	p, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	addr, err := harness.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return err
	}
	p.productEnv = append(p.productEnv, "ACCOUNTS_METRICS_ADDR="+addr, "ACCOUNTS_PROFILING=true")
	if p.product, err = p.startProduct(ctx); err != nil {
		return err
	}
	if err := fetchProfile(ctx, "http://"+addr+"/debug/pprof/heap?gc=1", filepath.Join(s.profile, "idle-heap.pprof")); err != nil {
		return err
	}
	_, reads, err := p.profileReads(ctx)
	if err != nil {
		return err
	}
	_, refreshes, err := p.refreshes(ctx, s.transport)
	if err != nil {
		return err
	}
	_, passwords := logins()
	for _, load := range []struct {
		name  string
		steps []step
	}{{"profile", reads}, {"refresh", refreshes}, {"login", passwords}} {
		for _, each := range profiles {
			path := fmt.Sprintf(each.path, int(s.round.Seconds()))
			if err := p.profileUnder(ctx, load.steps, s.round, "http://"+addr+path, filepath.Join(s.profile, load.name+"-"+each.name+".pprof")); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileUnder fetches a profile while the server is under load. The load begins before the profile
// and ends after it.
func (p *prepared) profileUnder(ctx context.Context, steps []step, d time.Duration, url, file string) error {
	done := make(chan error, 1)
	go func() {
		_, err := drive(ctx, p.product, p.database, steps, d+2*time.Second)
		done <- err
	}()
	time.Sleep(time.Second)
	return errors.Join(fetchProfile(ctx, url, file), <-done)
}

func fetchProfile(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %s", url, response.Status)
	}
	if err != nil {
		return err
	}
	fmt.Println(file)
	return os.WriteFile(file, content, 0o600)
}
