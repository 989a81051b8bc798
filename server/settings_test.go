package server_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/servertest"
)

func settingsOf(t *testing.T, s *servertest.Server) object {
	t.Helper()
	return s.Anonymous().Do(http.MethodGet, "/accounts/settings", nil).Want(t, http.StatusOK, "").JSON["settings"].(object)
}

func TestSettingsEqualThoseOfOperator(t *testing.T) {
	want := object{
		"registration": "open", "email_verification": "required",
		"password": object{"min_length": 12., "max_length": 256., "max_bytes": 1024.},
		"locales":  []any{"en", "ko"}, "token_transports": []any{"hybrid", "cookies", "server_held", "body"},
		"recent_authentication_seconds": 600., "contract_version": servertest.Contract().Info.Version,
	}
	if diff := cmp.Diff(want, settingsOf(t, servertest.Start(t, servertest.Options{}))); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	want["registration"], want["email_verification"], want["password"].(object)["min_length"] = "closed", "optional", 20.
	other := servertest.Start(t, servertest.Options{Settings: []string{
		"ACCOUNTS_REGISTRATION=closed", "ACCOUNTS_EMAIL_VERIFICATION=optional", "ACCOUNTS_PASSWORD_MIN_LENGTH=20",
	}})
	if diff := cmp.Diff(want, settingsOf(t, other)); diff != "" {
		t.Errorf("other settings (-want +got):\n%s", diff)
	}
}

// The settings show the bounds that the server enforces, whether the operator's minimum is longer
// or shorter than the contract's own.
func TestSettingsShowEnforcedPasswordBounds(t *testing.T) {
	const long = "qvxzjkwp mhtgrfbn 7294 ldyc ueoa isxq 5031 zpvk"
	for _, length := range []int{8, 12, 30} {
		s := servertest.Start(t, servertest.Options{Settings: []string{fmt.Sprint("ACCOUNTS_PASSWORD_MIN_LENGTH=", length)}})
		bounds := settingsOf(t, s)["password"].(object)
		register := func(password string) *servertest.Response {
			return post(s, "/accounts/register", object{"email": address(newName()), "password": password})
		}
		least, most, bytes := int(bounds["min_length"].(float64)), int(bounds["max_length"].(float64)), int(bounds["max_bytes"].(float64))
		register(long[:least]).Want(t, http.StatusAccepted, "")
		wantField(t, register(long[:least-1]), "/password", "too_short")
		longest := long + strings.Repeat("😀", most-len(long)-1)
		register(longest+"x").Want(t, http.StatusAccepted, "")
		wantField(t, register(longest+"xy"), "/password", "too_long")
		if len(strings.Repeat("😀", most)) != bytes {
			t.Errorf("%d characters of four bytes do not have %d bytes", most, bytes)
		}
	}
}

// The pages support the languages that the settings list.
func TestSettingsListLanguagesOfPages(t *testing.T) {
	texts, err := os.ReadFile("web/pages/texts.js")
	if err != nil {
		t.Fatal(err)
	}
	var locales []string
	for _, each := range settingsOf(t, servertest.Start(t, servertest.Options{}))["locales"].([]any) {
		locales = append(locales, each.(string))
	}
	if want := "export const texts = { " + strings.Join(locales, ", ") + " };"; !strings.Contains(string(texts), want) {
		t.Errorf("texts.js lacks %q", want)
	}
}
