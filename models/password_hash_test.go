package models_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/accounts/models"
)

func TestPasswordHashesAreNotPrinted(t *testing.T) {
	t.Attr("control", "89")
	const hash = "$argon2id$the-hash"
	secret := models.PasswordHash(hash)
	rows := map[string]any{
		"the hash": secret, "a user": models.User{Password: hash}, "a pointer to a user": &models.User{Password: hash},
		"a profile": models.Profile{User: models.User{Password: hash}}, "a live session": models.SessionWithUser{Profile: models.Profile{User: models.User{Password: hash}}},
		"a registration": models.OneTimeToken{Password: hash}, "a patch": models.UserPatch{Password: &secret},
		"a list of users": []models.User{{Password: hash}},
	}
	for name, row := range rows {
		texts := map[string]string{"Println": fmt.Sprintln(row)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v"} {
			texts[verb] = fmt.Sprintf(verb, row)
		}
		var lines, records bytes.Buffer
		slog.New(slog.NewTextHandler(&lines, nil)).Error("failed", "row", row)
		slog.New(slog.NewJSONHandler(&records, nil)).Error("failed", "row", row)
		texts["slog as text"], texts["slog as JSON"] = lines.String(), records.String()
		text, err := json.Marshal(row)
		ok(t, err)
		texts["JSON"] = string(text)
		if text, err = xml.Marshal(row); err == nil {
			texts["XML"] = string(text)
		}
		for way, text := range texts {
			for _, form := range []string{hash, fmt.Sprintf("%x", hash), fmt.Sprintf("%X", hash), hash[:3], "argon"} {
				if strings.Contains(text, form) {
					t.Errorf("%s of %s contains the hash: %s", way, name, text)
				}
			}
		}
	}
	if secret.Reveal() != hash {
		t.Errorf("Reveal() = %q, want %q", secret.Reveal(), hash)
	}
}
