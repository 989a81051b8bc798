package mail

import (
	netmail "net/mail"
	"strings"
	"testing"

	gomail "github.com/wneessen/go-mail"

	"example.com/accounts/server/names"
)

// addresses are inputs of users and attackers where an address is expected, and whether a mail may
// be sent to them.
var addresses = map[string]bool{
	"a@b.co": true, "a+tag@b.co": true, "A@B.CO": true, "-oQ/tmp@x.co": true, "o'brien@b.co": true, "a@xn--3e0b707e.kr": true, "a%0d%0aBcc@b.co": true,
	"${x}@b.co": true, "{{}}@b.co": true, strings.Repeat("a", 64) + "@b.co": true,
	"a@" + strings.Repeat(strings.Repeat("b", 61)+".", 4) + "co": true, // 252

	"": false, "@": false, "a": false, "a@": false, "@b.co": false, "Name <a@b.co>": false, "<a@b.co>": false, "a@b.co (c)": false, "(c)a@b.co": false,
	`"a b"@b.co`: false, `"a@evil.co"@b.co`: false, "a@b": false, "a@[127.0.0.1]": false, "a@127.0.0.1": false, "a@localhost": false,
	"a@b.co\r\nBcc: x@y.z": false, "a@b.co\nBcc: x@y.z": false, "a@b.co\r": false, "a\r\nRCPT TO:<x@y.z>@b.co": false, "a@b.co%0d%0aBcc: x@y.z": false,
	"a@b.co%0d%0a": false, "a@b.co\u2028Bcc: x@y.z": false, "a\u2028@b.co": false, "=?utf-8?q?=0d=0a?=@b.co": false, "=?utf-8?q?a=40evil.co=3e=0d=0a?=@b.co": false,
	"a@b.co,c@d.co": false, "a@b.co;c": false, "a@b.co c@d.co": false, "a@b.co> NOTIFY=SUCCESS": false, "a@b.co>\r\nDATA": false,
	"a@@b.co": false, "a@b@c.co": false, "a.@b.co": false, ".a@b.co": false, "a..b@b.co": false, "a@b..co": false, "a@.b.co": false, "a@b.co.": false,
	"a@-b.co": false, "a@b-.co": false, "a@b_c.co": false, "a b@c.co": false, " a@b.co": false, "a@b.co ": false, "a\t@b.co": false, "a\x00@b.co": false,
	"ａ@b.com": false, "é@b.co": false, "a@예시.한국": false, "a@b.co\u202e": false, "<script>@b.co": false, "a@<script>.co": false, "a@b.c/o": false,
	strings.Repeat("a", 65) + "@b.co":                               false,
	"aaaa@" + strings.Repeat(strings.Repeat("b", 61)+".", 4) + "co": false, // 255
	"a@" + strings.Repeat("b", 64) + ".co":                          false,
}

func TestIsAddrSpecAcceptsPlainAddressesOnly(t *testing.T) {
	t.Attr("control", "67")
	for address, want := range addresses {
		if names.IsAddrSpec(address) != want {
			t.Errorf("%q: want %v", address, want)
		}
	}
}

func TestCheckFromAcceptsOneSender(t *testing.T) {
	for _, s := range []string{"no-reply@example.com", "Accounts <no-reply@example.com>", `"Accounts, Inc." <a@b.co>`, "계정 <a@b.co>", "=?utf-8?q?=EA=B3=84?= <a@b.co>"} {
		if err := CheckFrom(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, name := range map[string]string{
		"Acme, Inc. <a@b.co>": "Acme, Inc.", "Acme (Support) <a@b.co>": "Acme (Support)", `"Acme (Support)" <a@b.co>`: "Acme (Support)", "Acme [Dev] <a@b.co>": "Acme [Dev]",
		"Acme: Accounts <a@b.co>": "Acme: Accounts", "O'Neil & Sons <a@b.co>": "O'Neil & Sons", "a@b.co": "", "Acme)( <a@b.co>": "Acme)(",
	} {
		from, err := parseFrom(s)
		if err != nil || from.Name != name || from.Address != "a@b.co" || SenderName(s) != name {
			t.Errorf("%q: %v %v", s, from, err)
			continue
		}
		data, err := sample(Reset).build(from, gomail.EncodingQP)
		if err != nil {
			t.Fatal(err)
		}
		header := readLetter(t, data).header.Get("From")
		if read, err := netmail.ParseAddress(header); err != nil || *read != *from {
			t.Errorf("%q: the header %q is read as %v, %v", s, header, read, err)
		}
	}
	if err := CheckFrom(`"Accounts <a@b.co>"`); err == nil || err.Error() != "must not be in quotation marks as a whole: remove them" {
		t.Error(err)
	}
	for _, s := range []string{"", "Accounts", "a@b", "a@b.co, c@d.co", "Accounts <a@b.co>\r\nBcc: x@y.z", "=?utf-8?q?a=0d=0ab?= <a@b.co>", "a b@localhost", `"a b"@localhost`,
		`"a b"@b.co`, "a@[127.0.0.1]", "a@예시.한국", "\u202eA <a@b.co>", "a@localhost", "Accounts <no-reply@localhost>", "a@localhost.", "@localhost", "a@b.co (c)", "a\t<a@b.co>", "=?utf-8?q?a?=@b.co",
		"x@y.z, A <a@b.co>", "x@y.z <a@b.co>", `"A" (x@y.z) <a@b.co>`, "<x@y.z> <a@b.co>", "=?utf-8?q?a?= (c) <a@b.co>", "A <a@b.co> (c)", "A, B <(c)a@b.co>", `A "B (c)" <a@b.co>`} {
		if err := CheckFrom(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}
