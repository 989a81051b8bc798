package accounts

import (
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
)

// Value is the kind of a text in a request, by the name of the contract's schema.
type Value string

// The values with rules that a schema cannot express. NewEmail and Username are for values that a
// user is going to have: existing ones may predate the rules.
const (
	NewEmail    Value = "NewEmail"
	NewPassword Value = "NewPassword"
	Username    Value = "Username"
	PersonName  Value = "PersonName"
)

// CheckValue returns the faults of a text that can be found without the user, or nil. The
// operations check more, such as whether a password is made from the user's own names.
func (s systemOperations) CheckValue(value Value, text string) []problem.FieldFault {
	var err error
	switch value {
	case NewEmail:
		_, err = parseNewEmail(text)
	case Username:
		_, err = parseNewUsername(text)
	case PersonName:
		err = checkPersonName("name", &text)
	case NewPassword:
		err = s.checkPolicy(text, models.User{})
	}
	var rule *problem.Error
	if errors.As(err, &rule) {
		return rule.Fields
	}
	return nil
}

// Language returns the language of the texts for a reader of a locale; see [mail.Language].
func Language(locale string) string { return mail.Language(locale) }
