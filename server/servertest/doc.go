// Package servertest starts real servers for tests, as httptest does: the real router with a real
// database, on every engine, and a client that behaves like a browser and compares each response
// with the contract.
//
// It needs TEST_MYSQL_URL, which scripts/with-mysql.sh sets. Without it, the tests on MySQL fail,
// unless TEST_ENGINES excludes MySQL. With TEST_GALERA_URLS, from scripts/with-galera.sh, the tests
// run on a cluster, and the replicas of a test use its nodes in turn.
package servertest
