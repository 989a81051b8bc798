package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// The bounds on the resources that a client can hold (ASVS 15.2.2). A connection that sends or
// reads one byte per second is closed.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 16 << 10
)

// Serve serves requests on the listener until ctx ends, and then shuts down in two phases. During
// ShutdownDelay, CheckReadiness fails with 503, so that a load balancer sends no more requests.
// Other requests are still served, and each connection is closed after its next response. After
// that, the requests in flight have ShutdownTimeout to finish. Serve returns nil after a clean
// shutdown.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	handler, err := s.Handler()
	if err != nil {
		return err
	}
	srv := s.newHTTPServer(s.closeWhenDraining(handler))
	failed := make(chan error, 1)
	go func() {
		failed <- srv.Serve(netutil.LimitListener(newLimitedListener(listener, s.addresses, s.Log, s.Now), maxConnections))
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.Log.Info("shutting down", "delay", s.Config.ShutdownDelay.String(), "timeout", s.Config.ShutdownTimeout.String())
	select {
	case err := <-failed:
		return err
	case <-time.After(s.Config.ShutdownDelay):
	}
	return s.shutDown(srv)
}

// closeWhenDraining adds "Connection: close" to every response during a shutdown. Otherwise a
// client might send its next request at the moment when the server closes the connection.
func (s *Server) closeWhenDraining(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}

func (s *Server) newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * gets an answer of the contract, with its headers
		ErrorLog:                     slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) shutDown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.Config.ShutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still in flight after %s: %w", s.Config.ShutdownTimeout, err), srv.Close())
	}
	return nil
}
