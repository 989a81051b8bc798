package models

// QueuedMails returns the mails of these kinds to an address that have no outcome yet.
func (t *Tx) QueuedMails(emailNorm string, kinds ...string) ([]Mail, error) {
	var mails []Mail
	err := t.db.Where("email_norm = ? AND kind IN ? AND done_at IS NULL", emailNorm, kinds).Find(&mails).Error
	return mails, translate(err)
}

// UserTokens returns the one-time tokens of a user that have a purpose, including used and expired
// ones.
func (t *Tx) UserTokens(userID int64, purpose string) ([]OneTimeToken, error) {
	var tokens []OneTimeToken
	err := t.db.Where("user_id = ? AND purpose = ?", userID, purpose).Find(&tokens).Error
	return tokens, translate(err)
}
