package server_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A link on another site, which carries the Lax cookies, does not use up the owner's exports. A token in a header is not
// sent by a navigation, and is not refused.
func TestControl194CrossSiteNavigationsUseUpNoLimit(t *testing.T) {
	life(t, func(t *testing.T, s *servertest.Server) {
		export := func(c *servertest.Client, site string) *servertest.Response {
			return c.Do(http.MethodGet, "/accounts/profile/export", nil, servertest.Header("Sec-Fetch-Site", site), servertest.Header("Sec-Fetch-Mode", "navigate"), servertest.Header("Sec-Fetch-Dest", "document"))
		}
		for _, transport := range []accounts.Transport{accounts.Cookies, accounts.ServerHeld} {
			c := s.Login(s.NewUser(), transport)
			for range 5 {
				export(c, "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
			}
			for _, site := range []string{"same-origin", "same-site", "none", ""} {
				export(c, site).Want(t, http.StatusOK, "")
			}
			export(c, "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
			wantLimited(t, export(c, "same-origin"))
			c.Do(http.MethodGet, "/accounts/profile", nil, servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusOK, "")
		}
		for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.BodyTokens} {
			export(s.Login(s.NewUser(), transport), "cross-site").Want(t, http.StatusOK, "")
		}
		export(s.Anonymous(), "cross-site").Want(t, http.StatusUnauthorized, "credentials_missing")
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=4/1h")
}

// Every read that can be answered 429 has a limit that a navigation could use up, so it must be marked.
func TestControl194ReadsWithALimitAreMarked(t *testing.T) {
	for _, op := range servertest.Operations() {
		if op.Method != http.MethodGet {
			if op.Operation.Extensions["x-refuse-cross-site"] != nil {
				t.Errorf("%s is guarded as every write is, and need not be marked", op.ID)
			}
			continue
		}
		limited := op.Operation.Responses.Value("429") != nil
		if marked := op.Operation.Extensions["x-refuse-cross-site"] == true; marked != limited {
			t.Errorf("%s: marked %v, limited %v", op.ID, marked, limited)
		}
	}
}
