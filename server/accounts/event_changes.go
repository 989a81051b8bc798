package accounts

import (
	"strconv"
	"strings"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// maxChangeValue bounds a value of a change. No member of a user that is recorded is longer.
const maxChangeValue = 150

// changeOf returns the change of one field, or nothing if the values are the same. An empty value
// is recorded as no value. Email addresses are masked, because an imported username can be one, and
// people enter them as names.
func changeOf(field, before, after string) models.Changes {
	if before == after {
		return nil
	}
	return models.Changes{{Field: field, Before: recorded(before), After: recorded(after)}}
}

func recorded(value string) *string {
	if value == "" {
		return nil
	}
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		value = mail.Mask(strings.ReplaceAll(value[:at], "@", "") + value[at:])
	}
	value = firstOf(value, maxChangeValue)
	return &value
}

func usernameChange(before, after models.User) models.Changes {
	return changeOf("username", before.Username, after.Username)
}

// profileChanges returns the changes of the names and of the language.
func profileChanges(before, after models.User) models.Changes {
	changes := changeOf("first_name", before.FirstName, after.FirstName)
	changes = append(changes, changeOf("last_name", before.LastName, after.LastName)...)
	return append(changes, changeOf("locale", before.Locale, after.Locale)...)
}

func activeChange(before, after bool) models.Changes {
	return changeOf("is_active", strconv.FormatBool(before), strconv.FormatBool(after))
}

func roleChanges(before, after models.User) models.Changes {
	changes := changeOf("is_staff", strconv.FormatBool(before.IsStaff), strconv.FormatBool(after.IsStaff))
	return append(changes, changeOf("is_superuser", strconv.FormatBool(before.IsSuperuser), strconv.FormatBool(after.IsSuperuser))...)
}

// grantedRoles returns the roles of a new user as changes from none.
func grantedRoles(u models.User) models.Changes {
	return append(changeOf("is_staff", "", roleOrNone(u.IsStaff)), changeOf("is_superuser", "", roleOrNone(u.IsSuperuser))...)
}

// lostRoles returns the roles of a deleted user as changes to none.
func lostRoles(u models.User) models.Changes {
	return append(changeOf("is_staff", roleOrNone(u.IsStaff), ""), changeOf("is_superuser", roleOrNone(u.IsSuperuser), "")...)
}

func roleOrNone(has bool) string {
	if has {
		return "true"
	}
	return ""
}
