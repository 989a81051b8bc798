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
	h.mu.Lock()
	defer h.mu.Unlock()
	if stmt := h.byID[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	if h.byID == nil {
		h.byID = map[string]*sql.Stmt{}
	}
	h.byID[query] = stmt
	return stmt, nil
}

func (h *hotStatements) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, stmt := range h.byID {
		_ = stmt.Close()
	}
	h.byID = nil
}
