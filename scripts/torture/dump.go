package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/scripts/torture/history"
)

// dump ends the history with the sessions in the database and with the results of the checks of
// tables and logs.
func (t *torture) dump() error {
	ctx := context.Background()
	for _, r := range t.site.Replicas { // a clean shutdown, so that pending writes are written
		r.Terminate()
	}
	e := history.Event{Begin: t.record.Now(), Dump: &history.Dump{Reused: map[string]int{}}}
	var err error
	if e.Dump.Sessions, err = t.rows(ctx); err != nil {
		return err
	}
	if err := t.reuseEvents(ctx, e.Dump.Reused); err != nil {
		return err
	}
	if err := t.checkDecoys(ctx); err != nil {
		return err
	}
	e.Dump.Changed = t.changed
	if e.Dump.Leaks, err = t.leaks(ctx); err != nil {
		return err
	}
	e.End = t.record.Now()
	t.record.Add(e)
	return nil
}

func (t *torture) rows(ctx context.Context) (list []history.Row, err error) {
	rows, err := t.site.Database.SQL.QueryContext(ctx, `SELECT s.id, s.user_id, s.generation, s.revoked_at IS NULL AND s.epoch = u.session_epoch AND u.is_active,
		s.revoke_reason, s.transport, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r history.Row
		var id []byte
		var end time.Time
		if err := rows.Scan(&id, &r.User, &r.Generation, &r.Live, &r.Reason, &r.Transport, &end); err != nil {
			return nil, err
		}
		r.Session, r.SessionEnd = uuid.UUID(id).String(), end.Unix()
		list = append(list, r)
	}
	return list, rows.Err()
}

func (t *torture) reuseEvents(ctx context.Context, counts map[string]int) error {
	rows, err := t.site.Database.SQL.QueryContext(ctx, "SELECT session_id, COUNT(*) FROM events WHERE kind = 'refresh_reused' GROUP BY session_id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			return err
		}
		counts[uuid.UUID(id).String()] = n
	}
	return rows.Err()
}

// rowsOf returns the complete rows of the decoys.
func (t *torture) rowsOf(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	err := t.each(ctx, "SELECT * FROM sessions", func(values []string) {
		if id, err := uuid.FromBytes([]byte(values[0])); err == nil && slices.ContainsFunc(t.decoys, func(h tokenSet) bool { return h.session == id.String() }) {
			found[id.String()] = strings.Join(values, "|")
		}
	})
	return found, err
}

// leaks searches every table and the replicas' logs for tokens of the history.
func (t *torture) leaks(ctx context.Context) (list []string, err error) {
	for _, table := range []string{"users", "sessions", "events", "one_time_tokens", "outbox"} {
		found := false
		if err := t.each(ctx, "SELECT * FROM "+table, func(values []string) {
			found = found || slices.ContainsFunc(values, t.secrets.in)
		}); err != nil {
			return nil, err
		}
		if found {
			list = append(list, "the table "+table+" contains a token of the history")
		}
	}
	for _, r := range t.site.Replicas {
		inLog, err := t.searchLog(r.LogFile())
		if err != nil {
			return nil, err
		}
		if inLog {
			list = append(list, fmt.Sprintf("the log of server %d contains a token of the history", r.Number))
		}
	}
	return list, nil
}

// searchLog searches a log for tokens. It also records panics and, if this program was built with
// it, reports of the race detector.
func (t *torture) searchLog(path string) (leak bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		leak = leak || t.secrets.in(lines.Text())
		if strings.Contains(lines.Text(), "panic") || strings.Contains(lines.Text(), "DATA RACE") {
			t.addViolation("in a log: " + lines.Text()[:min(len(lines.Text()), 400)])
		}
	}
	return leak, lines.Err()
}

func (t *torture) each(ctx context.Context, query string, f func(values []string)) error {
	rows, err := t.site.Database.SQL.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		scanned := make([]any, len(columns))
		for i := range scanned {
			scanned[i] = new(any)
		}
		if err := rows.Scan(scanned...); err != nil {
			return err
		}
		values := make([]string, len(columns))
		for i, v := range scanned {
			if raw, ok := (*v.(*any)).([]byte); ok {
				values[i] = string(raw)
				continue
			}
			values[i] = fmt.Sprint(*v.(*any))
		}
		f(values)
	}
	return rows.Err()
}
