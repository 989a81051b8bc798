package models

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// boundedCommits makes connections whose COMMIT ends with the context of its transaction, as every other statement
// does. database/sql gives COMMIT no context, so that a server that says nothing, or a cluster that has lost a node,
// would hold a request until the driver's own time is over.
type boundedCommits struct{ driver.Connector }

// mysqlConn is what a connection of the driver can do.
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
