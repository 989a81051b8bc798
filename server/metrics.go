package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// Metrics are the server's figures for Prometheus. Labels are operations of the contract and fixed words, never
// what a client sent.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	events   *prometheus.CounterVec
}

// NewMetrics makes the figures, each at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "accounts_request_seconds", Help: "Duration of requests by operation and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation", "status"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accounts_events_total", Help: "What happened to sessions and clocks, by event.",
		}, []string{"event"}),
	}
	for _, event := range accounts.Events { // a counter that is not there cannot be alerted on
		m.events.WithLabelValues(event)
	}
	m.registry.MustRegister(m.requests, m.events, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds the database pool's figures.
func (m *Metrics) Watch(store *models.Store) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "accounts_db_connections_in_use", Help: "Database connections in use."},
			func() float64 { return float64(store.Stats().InUse) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "accounts_db_wait_seconds_total", Help: "Time spent waiting for a database connection."},
			func() float64 { return store.Stats().WaitDuration.Seconds() }),
	)
}

// Event counts what a rule reports; it is accounts.Options.Observe.
func (m *Metrics) Event(event string) { m.events.WithLabelValues(event).Inc() }

// Handler serves them; it belongs on a listener of its own, never on the public port.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) request(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}
