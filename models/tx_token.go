package models

// EndRegistrations ends the open registrations of an address.
func (t *Tx) EndRegistrations(emailNorm string) error {
	return translate(endTokens(t.db, t.now, "email_norm = ? AND purpose = ?", emailNorm, PurposeVerify))
}

// EndEmailChangesExcept ends the pending changes of a user's address to any address but one. It does
// not increment the version of the user.
func (t *Tx) EndEmailChangesExcept(userID int64, emailNorm string) error {
	return translate(endTokens(t.db, t.now, "user_id = ? AND purpose = ? AND email_norm <> ?", userID, PurposeEmailChange, emailNorm))
}

// HasEmailChange reports whether a change of the user's address to that address is pending.
func (t *Tx) HasEmailChange(userID int64, emailNorm string) (bool, error) {
	found, err := exists(t.db, &OneTimeToken{}, "user_id = ? AND purpose = ? AND email_norm = ? AND used_at IS NULL AND expires_at > ?",
		userID, PurposeEmailChange, emailNorm, t.now)
	return found, translate(err)
}

// SetTokenUser records the user that was created from a registration. Errors: ErrNotFound if there
// is no such token.
func (t *Tx) SetTokenUser(token OneTimeToken, userID int64) error {
	return translate(exactlyOne(t.db.Model(&OneTimeToken{}).Where("id = ?", token.ID).Updates(map[string]any{"user_id": userID})))
}
