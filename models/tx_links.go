package models

// EndTokens ends the open one-time tokens of a user, except for those with one of the purposes kept.
func (t *Tx) EndTokens(userID int64, kept ...string) error {
	open := t.db.Where("user_id = ?", userID)
	if len(kept) > 0 {
		open = open.Where("purpose NOT IN ?", kept)
	}
	return translate(open.Model(&OneTimeToken{}).Where("used_at IS NULL").Updates(map[string]any{"used_at": t.now}).Error)
}

// EndEmailChanges ends the pending changes of a user's address, and increments the version of the
// user if there were any.
func (t *Tx) EndEmailChanges(userID int64) error {
	return translate(endEmailChanges(t.db, t.now, "user_id = ?", userID))
}

// EndEmailChangesBy ends the pending changes of address that a staff member has started, and
// increments the versions of the users whose changes they were.
func (t *Tx) EndEmailChangesBy(actorID int64) error {
	return translate(endEmailChanges(t.db, t.now, "actor_id = ?", actorID))
}

// CancelMails drops the queued mails of these kinds to an address.
func (t *Tx) CancelMails(emailNorm string, kinds ...string) error {
	waiting := t.db.Model(&Mail{}).Where("email_norm = ? AND kind IN ? AND done_at IS NULL", emailNorm, kinds)
	return translate(waiting.Updates(map[string]any{"done_at": t.now, "outcome": MailDropped, "lease": nil}).Error)
}

// ForgetNetworks deletes the networks that are known for these names; see [Store.KnownNetwork].
func (t *Tx) ForgetNetworks(norms ...string) error { return translate(forgetNetworks(t.db, norms...)) }
