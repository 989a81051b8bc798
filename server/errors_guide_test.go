package server_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

var update = flag.Bool("update", false, "write the generated part of the guide to errors")

// The guide describes every code as the server and the contract do.
func TestErrorsGuideDescribesEveryCode(t *testing.T) {
	const path, start, end = "web/docs/guides/errors.md", "<!-- generated -->\n", "<!-- /generated -->"
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(guide), start)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s lacks %s", path, end)
	}
	want := before + start + errorsGuide(t) + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(guide) {
		t.Error("errors.md does not match the problem codes of the server or the contract: run make guides")
	}
}

// errorsGuide returns the generated part of the guide.
func errorsGuide(t *testing.T) string {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	problems, codes := catalogOf(t, s, "", "problems")
	fields, fieldCodes := catalogOf(t, s, "", "fields")
	operations := operationsByCode()

	var page strings.Builder
	page.WriteString("## All problem codes\n\n| Status | Code | Title |\n|---|---|---|\n")
	for _, code := range codes {
		p := problems[code]
		fmt.Fprintf(&page, "| %v | [`%s`](#%s) | %s |\n", p["status"], code, code, p["title"])
	}
	page.WriteString("\n## Each problem code\n")
	for _, code := range codes {
		p := problems[code]
		fmt.Fprintf(&page, "\n### `%s`\n\n", code)
		fmt.Fprintf(&page, "- **Response:** %v %s\n", p["status"], http.StatusText(status(p)))
		fmt.Fprintf(&page, "- **Cause:** %s\n", p["cause"])
		fmt.Fprintf(&page, "- **Action:** %s\n", p["remedy"])
		fmt.Fprintf(&page, "- **Operations:** %s\n", operationsText(operations[code]))
	}
	page.WriteString("\n## Field codes\n\n| Code | Cause |\n|---|---|\n")
	for _, code := range fieldCodes {
		fmt.Fprintf(&page, "| `%s` | %s |\n", code, fields[code]["cause"])
	}
	return page.String()
}

func status(problem object) int {
	n, _ := strconv.Atoi(fmt.Sprint(problem["status"]))
	return n
}

// operationsByCode returns the ids of the operations that document each code.
func operationsByCode() map[string][]string {
	byCode := map[string][]string{}
	for _, o := range servertest.Operations() {
		for name := range o.Operation.Responses.Map() {
			for _, code := range o.Codes(name) {
				byCode[code] = append(byCode[code], o.Operation.OperationID)
			}
		}
	}
	return byCode
}

// operationsText names the operations, unless they are too many to read.
func operationsText(ids []string) string {
	switch total := len(servertest.Operations()); {
	case len(ids) == 0:
		return "none; the server returns this before it has found the operation."
	case len(ids) == total:
		return "all."
	case len(ids) > 10:
		return fmt.Sprintf("%d of %d. The contract lists this problem for each of these operations.", len(ids), total)
	}
	slices.Sort(ids)
	return "`" + strings.Join(ids, "`, `") + "`."
}
