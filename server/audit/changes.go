package audit

import (
	"strconv"
	"strings"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// maxChangeValue bounds a value of a change. No member of a user that is recorded is longer.
const maxChangeValue = 150

// fieldChange returns the change of one field, or nothing if the values are the same. An empty value
// is recorded as no value. Email addresses are masked, because an imported username can be one, and
// people enter them as names.
func fieldChange(field, before, after string) models.Changes {
	if before == after {
		return nil
	}
	return models.Changes{{Field: field, Before: displayValue(before), After: displayValue(after)}}
}

// displayValue returns the value as the log shows it, or nil if it is empty.
func displayValue(value string) *string {
	if value == "" {
		return nil
	}
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		value = mail.Mask(strings.ReplaceAll(value[:at], "@", "") + value[at:])
	}
	value = models.Truncate(value, maxChangeValue)
	return &value
}

// UsernameChange returns the change of the username.
func UsernameChange(before, after models.User) models.Changes {
	return fieldChange("username", before.Username, after.Username)
}

// ProfileChanges returns the changes of the names and of the language.
func ProfileChanges(before, after models.User) models.Changes {
	changes := fieldChange("first_name", before.FirstName, after.FirstName)
	changes = append(changes, fieldChange("last_name", before.LastName, after.LastName)...)
	return append(changes, fieldChange("locale", before.Locale, after.Locale)...)
}

// ActiveChange returns the change of the active state.
func ActiveChange(before, after bool) models.Changes {
	return fieldChange("is_active", strconv.FormatBool(before), strconv.FormatBool(after))
}

// RoleChanges returns the changes of the roles.
func RoleChanges(before, after models.User) models.Changes {
	changes := fieldChange("is_staff", strconv.FormatBool(before.IsStaff), strconv.FormatBool(after.IsStaff))
	return append(changes, fieldChange("is_superuser", strconv.FormatBool(before.IsSuperuser), strconv.FormatBool(after.IsSuperuser))...)
}

// GrantedRoles returns the roles of a new user as changes from none.
func GrantedRoles(u models.User) models.Changes {
	return append(fieldChange("is_staff", "", roleOrNone(u.IsStaff)), fieldChange("is_superuser", "", roleOrNone(u.IsSuperuser))...)
}

// LostRoles returns the roles of a deleted user as changes to none.
func LostRoles(u models.User) models.Changes {
	return append(fieldChange("is_staff", roleOrNone(u.IsStaff), ""), fieldChange("is_superuser", roleOrNone(u.IsSuperuser), "")...)
}

func roleOrNone(has bool) string {
	if has {
		return "true"
	}
	return ""
}
