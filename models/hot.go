package models

import (
	"context"
	"database/sql"
	"sync"
)

// hotStatements are the few statements that every request makes, prepared once. They are prepared at their first use,
// since the tables need not exist when the store is opened.
type hotStatements struct {
	mu   sync.RWMutex
	byID map[string]*sql.Stmt
}

func (h *hotStatements) get(ctx context.Context, pool *sql.DB, query string) (*sql.Stmt, error) {
	h.mu.RLock()
	stmt := h.byID[query]
	h.mu.RUnlock()
	if stmt != nil {
		return stmt, nil
	}
	// Prepared without the lock: on a database that does not answer, each caller waits for its own deadline and not
	// for those of the callers before it.
	stmt, err := pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	return h.keep(query, stmt), nil
}

// keep remembers the statement, unless another caller was faster.
func (h *hotStatements) keep(query string, stmt *sql.Stmt) *sql.Stmt {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first := h.byID[query]; first != nil {
		_ = stmt.Close()
		return first
	}
	if h.byID == nil {
		h.byID = map[string]*sql.Stmt{}
	}
	h.byID[query] = stmt
	return stmt
}

func (h *hotStatements) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, stmt := range h.byID {
		_ = stmt.Close()
	}
	h.byID = nil
}
