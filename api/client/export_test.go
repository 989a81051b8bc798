package client

import "time"

// SetNow replaces the clock.
func (a *Accounts) SetNow(now func() time.Time) { a.now = now }
