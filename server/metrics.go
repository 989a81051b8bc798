package server

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/metrics"
)

// Metrics are the Prometheus metrics of the server. Labels are operations of the contract and fixed
// words, never text from a client.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	counters map[metrics.Counter]prometheus.Counter
}

// NewMetrics returns the metrics, each at zero. The version is that of the program.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "accounts_http_request_duration_seconds", Help: "Duration of requests by operation and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation", "status"}),
		counters: map[metrics.Counter]prometheus.Counter{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "accounts_build_info", Help: "Always 1. The labels are the versions of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range metrics.Counters() {
		options := prometheus.CounterOpts{Name: c.Metric, Help: c.Help}
		if c.Outcome != "" {
			options.ConstLabels = prometheus.Labels{"outcome": c.Outcome}
		}
		m.counters[c] = prometheus.NewCounter(options)
		m.registry.MustRegister(m.counters[c])
	}
	return m
}

// Watch adds the metrics that are read from service when they are collected.
func (m *Metrics) Watch(service *accounts.Service) { m.registry.MustRegister(collector{service}) }

// collector reads the metrics of a service when Prometheus collects them, all at the same moment
// and with one database query.
type collector struct{ service *accounts.Service }

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(f accounts.Stats) float64
}

func gauge(name, help string, value func(accounts.Stats) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(accounts.Stats) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, value}
}

var (
	serviceMetrics = []metric{
		gauge("accounts_hashes_running", "Passwords being hashed.", func(f accounts.Stats) float64 { return float64(f.HashesRunning) }),
		gauge("accounts_hashes_waiting", "Requests that wait for their password to be hashed.", func(f accounts.Stats) float64 { return float64(f.HashesWaiting) }),
		gauge("accounts_hash_slots", "Passwords that may be hashed at once.", func(f accounts.Stats) float64 { return float64(f.HashSlots) }),
		gauge("accounts_hash_queue", "Requests that may wait to be hashed; further ones are answered 503.", func(f accounts.Stats) float64 { return float64(f.HashQueue) }),
		counter("accounts_hashes_total", "Passwords hashed.", func(f accounts.Stats) float64 { return float64(f.Hashes) }),
		gauge("accounts_db_connections_in_use", "Database connections in use.", func(f accounts.Stats) float64 { return float64(f.ConnsInUse) }),
		gauge("accounts_db_connections_open", "Database connections open.", func(f accounts.Stats) float64 { return float64(f.ConnsOpen) }),
		gauge("accounts_db_connections_max", "Database connections allowed.", func(f accounts.Stats) float64 { return float64(f.Conns) }),
		counter("accounts_db_waits_total", "Requests that waited for a database connection.", func(f accounts.Stats) float64 { return float64(f.ConnWaits) }),
		counter("accounts_db_wait_seconds_total", "Time spent waiting for a database connection.", func(f accounts.Stats) float64 { return f.ConnWaited.Seconds() }),
		gauge("accounts_clock_offset_seconds", "The database's clock less this server's, when last compared.", func(f accounts.Stats) float64 { return f.ClockOffset.Seconds() }),
	}
	outboxMetrics = []metric{
		gauge("accounts_outbox_mails_due", "Mails that are neither delivered nor given up, including those that wait for another attempt.", func(f accounts.Stats) float64 { return float64(f.MailsWaiting) }),
		gauge("accounts_outbox_age_seconds", "Seconds since the oldest mail that is neither delivered nor given up was created.", func(f accounts.Stats) float64 { return f.OldestMail.Seconds() }),
	}
)

// Describe implements prometheus.Collector.
func (collector) Describe(into chan<- *prometheus.Desc) {
	for _, each := range append(slices.Clone(serviceMetrics), outboxMetrics...) {
		into <- each.desc
	}
}

// Collect implements prometheus.Collector. It omits metrics that cannot be read, because a zero
// would be wrong.
func (c collector) Collect(into chan<- prometheus.Metric) {
	f, list := c.service.Stats(context.Background()), slices.Clone(serviceMetrics)
	if f.BacklogKnown {
		list = append(list, outboxMetrics...)
	}
	for _, each := range list {
		into <- prometheus.MustNewConstMetric(each.desc, each.kind, each.value(f))
	}
}

// Count increments a counter. It is the value of accounts.Options.Count.
func (m *Metrics) Count(c metrics.Counter) { m.counters[c].Inc() }

// Handler serves the metrics. Serve it on a listener of its own, never on the public port.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe records the duration of a request.
func (m *Metrics) observe(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}
