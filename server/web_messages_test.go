package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/accounts/server/problem"
)

// The demo and the console show the English messages of the table of problem codes.
func TestWebMessages(t *testing.T) {
	const path = "web/parts/messages.ts"
	var want strings.Builder
	want.WriteString("// Generated from server/problem by make guides: change that.\nimport type { components } from \"accounts-client\";\n\ntype Schemas = components[\"schemas\"];\n\n")
	want.WriteString("/** The message of each problem code for users. */\nexport const problemMessages: Record<Schemas[\"Problem\"][\"code\"], string> = {\n")
	for _, k := range problem.Kinds {
		fmt.Fprintf(&want, "  %s: %q,\n", k.Code, k.Message.English)
	}
	want.WriteString("};\n\n/** The message of each field code for users. */\nexport const fieldMessages: Record<Schemas[\"FieldError\"][\"code\"], string> = {\n")
	for _, k := range problem.FieldKinds {
		fmt.Fprintf(&want, "  %s: %q,\n", k.Code, k.Message.English)
	}
	want.WriteString("};\n")
	if *update {
		if err := os.WriteFile(path, []byte(want.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want.String() {
		t.Errorf("%s does not match the problem codes of the server (%v): run make guides", path, err)
	}
}

// The account pages have texts of their own, and the table's messages where these fit.
func TestPagesHaveTheMessagesAboutPasswords(t *testing.T) {
	texts, err := os.ReadFile("web/pages/texts.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"password_common", "password_breached"} {
		message := problem.FieldKindOf(code).Message
		for _, text := range []string{message.English, message.Korean} {
			if want := fmt.Sprintf("%q: %q,", "fault."+code, text); !strings.Contains(string(texts), want) {
				t.Errorf("texts.js has no %s", want)
			}
		}
	}
}
