package models

import (
	"context"
	"database/sql"
	"sync"
)

// hotStatements caches the prepared statements that requests execute most often. A statement
// is prepared at its first use, because the tables may not exist when the store is opened. It is
// safe for concurrent use.
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
	// The lock is not held here. If the database does not answer, each caller waits for its own
	// deadline only, and not for the deadlines of the callers before it.
	stmt, err := pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	return h.keep(query, stmt), nil
}

// keep caches stmt and returns it. If another caller has cached the same query first, keep closes
// stmt and returns the cached statement.
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
