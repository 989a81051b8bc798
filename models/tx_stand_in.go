package models

import "time"

func (t *Tx) InsertSession(n Session, tolerance time.Duration) error {
	return translate(t.store.insertSession(t.db, n, tolerance))
}
