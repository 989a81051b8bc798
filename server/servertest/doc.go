// Package servertest starts real servers for tests, as httptest does: the real router over a real database, on every
// engine, with a browser-like client that holds each answer against the contract.
//
// It needs TEST_MYSQL_URL, which scripts/with-mysql.sh sets; without it the tests on MySQL fail, unless TEST_ENGINES
// names the engines that are meant. With TEST_GALERA_URLS, from scripts/with-galera.sh, they run on a cluster, and the
// replicas of a test on its nodes in turn.
package servertest
