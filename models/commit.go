package models

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// boundedCommits makes connections whose COMMIT ends with the context of its transaction, like
// every other statement. database/sql passes no context to COMMIT. Without this, a server that does
// not answer, or a cluster that has lost a node, would block a request until the driver's own
// timeout.
type boundedCommits struct{ driver.Connector }

// mysqlConn is the set of interfaces that the driver's connections implement.
type mysqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

func (b boundedCommits) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(mysqlConn)
	if !ok {
		return nil, fmt.Errorf("models: a connection is a %T, which cannot do what it should", conn)
	}
	return boundedConn{able}, nil
}

type boundedConn struct{ mysqlConn }

func (c boundedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.mysqlConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return boundedTx{tx, func() error {
		_, err := c.ExecContext(ctx, "COMMIT", nil)
		return err
	}}, nil
}

type boundedTx struct {
	driver.Tx
	commit func() error
}

func (t boundedTx) Commit() error { return t.commit() }
