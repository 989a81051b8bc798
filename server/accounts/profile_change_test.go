package accounts

import (
	"reflect"
	"testing"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
)

// A member of ProfileChange that one of its functions forgets would silently not be changed, not be
// recorded, or be left to the owner of an address by a stranger who had registered it.
func TestProfileChangeKnowsEachOfItsMembers(t *testing.T) {
	kind := reflect.TypeFor[ProfileChange]()
	for i := range kind.NumField() {
		name, value := kind.Field(i).Name, "value"
		t.Run(name, func(t *testing.T) {
			var c ProfileChange
			reflect.ValueOf(&c).Elem().Field(i).Set(reflect.ValueOf(&value))
			patch, err := c.patch(models.User{})
			after := c.apply(models.User{})
			if given := reflect.ValueOf(patch).FieldByName(name); err != nil || given.IsNil() {
				t.Errorf("the patch is %+v, %v", patch, err)
			}
			if reflect.ValueOf(after).FieldByName(name).String() != value {
				t.Errorf("the user after the change is %+v", after)
			}
			if c.onlyChanged(models.User{}) != c || c.onlyChanged(after) != (ProfileChange{}) {
				t.Error("onlyChanged does not compare the member with the user's")
			}
			if events := append(audit.UsernameChange(models.User{}, after), audit.ProfileChanges(models.User{}, after)...); len(events) != 1 {
				t.Errorf("the recorded changes are %+v", events)
			}
			blank, owner := blankProfile(after)
			if reflect.ValueOf(blank).FieldByName(name).IsNil() || reflect.ValueOf(owner).FieldByName(name).String() == value {
				t.Errorf("a blank profile keeps the member: %+v", owner)
			}
		})
	}
}
