package credentials

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// varied returns n code points without a pattern: each of the given letters followed by another.
func varied(letters string, n int) string {
	source, runes := rand.New(rand.NewPCG(1, 2)), []rune(letters)
	var b strings.Builder
	for range n {
		b.WriteRune(runes[source.IntN(len(runes))])
	}
	return b.String()
}

func TestCheckPolicyRejectsShortAndCommonPasswords(t *testing.T) {
	t.Attr("control", "2")
	t.Attr("control", "3")
	const letters, pictures = "bdgkmrtwz", "🔑🐎🔋📎🌊🍞🎻"
	for name, test := range map[string]struct{ password, code string }{
		"empty":                      {"", CodeTooShort},
		"11 code points":             {varied(letters, 11), CodeTooShort},
		"11 code points in 44 bytes": {varied(pictures, 11), CodeTooShort},
		"12 code points":             {varied(letters, 12), ""},
		"spaces around it":           {"   " + varied(letters, 6) + "   ", ""},
		"digits that count":          {"123456789012", CodeCommon},
		"digits that count down":     {"321098765432", CodeCommon},
		"one digit":                  {"777777777777", CodeCommon},
		"four digits, repeated":      {"1984198419841", CodeCommon},
		"digits":                     {"271828182845", ""},
		"dressed with symbols":       {"$$$password+^~ ", CodeCommon},
		"64 emoji":                   {varied(pictures, 64), ""},
		"256 code points, 256 bytes": {varied(letters, 256), ""},
		"256 code points, 1024":      {varied(pictures, 256), ""},
		"257 code points":            {varied(letters, 257), CodeTooLong},
		"1 MB":                       {strings.Repeat("a", 1<<20), CodeTooLong},
		"1 MB, not UTF-8":            {strings.Repeat("\xff", 1<<20), CodeTooLong},
		"NUL":                        {"correct horse\x00 battery", CodeInvalidFormat},
		"not UTF-8":                  {"correct horse \xc0\x80 battery", CodeInvalidFormat},
		"surrogate":                  {"correct horse \xed\xa0\x80 battery", CodeInvalidFormat},
		"short and not UTF-8":        {"\xff", CodeInvalidFormat},
		"composed é, 11":             {"r\u00e9sum\u00e9 \u00e9t\u00e9s", CodeTooShort},
		"decomposed é, 11 letters":   {"re\u0301sume\u0301 e\u0301te\u0301s", ""},
	} {
		t.Run(name, func(t *testing.T) { wantPolicy(t, test.password, test.code) })
	}
}

func wantPolicy(t *testing.T, password, code string, words ...string) {
	t.Helper()
	err := CheckPolicy(password, 12, words...)
	var policy *PolicyError
	if errors.As(err, &policy); code == "" {
		if err != nil {
			t.Errorf("%q: got %v, want nil", password, err)
		}
	} else if policy == nil || policy.Code != code {
		t.Errorf("%q: got %v, want code %s", password, err, code)
	}
}

func TestRepeatedAndSequentialPasswordsAreRejected(t *testing.T) {
	t.Attr("control", "201")
	for _, password := range []string{
		// patterns of common passwords
		"passwordpassword", "aaaaaaaaaaaa", "            ", "accountsaccounts", "letmeinletmein", "abcdefghijkl", "111122223333",
		"abcabcabcabc", "qwertyqwerty", "adminadminadmin", "iloveyouiloveyou", "P@ssw0rdP@ssw0rd",
		// a short unit of any kind, also with an incomplete last one
		"xqxqxqxqxqxq", "tk9tk9tk9tk9", "gvmzpgvmzpgvmzp", "gvmzpgvmzpgv", "k7#Qz9!k7#Qz9!", "🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑", "가나가나가나가나가나가나", "\t\t\t\t\t\t\t\t\t\t\t\t",
		// a repeated common word, between symbols, backwards, in capitals
		"password12345password12345", "PasswordPassword1!", "drowssapdrowssap", "letmein-letmein", "letmein letmein 1", "admin.admin.admin",
		"!!abcabcabc!!", "abcabcabc123", "passwordpasswordpasswordpassword",
		// letters written as digits and symbols
		"P@ssw0rd1234", "pa$$w0rd!!!!", "!!1l0vey0u!!2026", "dr0wss@p1234",
		// runs
		"zyxwvutsrqpo", "qwertyuiopasdf", "poiuytrewqlkj", "asdfghjkl123", "zxcvbnmasdfgh", "qazwsxedcrfv", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv",
		"aaabbbcccddd", "112233445566", "aabbccddeeff", "abcdef123456", "abc123xyz789", "abcdefghij!1", "987654321abc", "qwertzuiopyxc", "!@#$%^&*()!@#",
		"фывапролджэйцу", "가나다라마바사아자차카타", "01234567890123456789",
	} {
		wantPolicy(t, password, CodeCommon)
	}
	for _, password := range []string{"Lovelace Shop", "lovelaceshop2026", "lovelaceshoplovelaceshop", "Shop.Example.com", "L0velaceSh0p!!", "pohs ecalevol"} {
		wantPolicy(t, password, CodeCommon, "lovelace shop", "lovelaceshop", "shop.example.com")
	}
}

// dice are words of a diceware list. Some of them are common passwords themselves.
var dice = strings.Fields(`abacus bagel cactus dragon eagle fabric gadget habit iguana jacket kayak ladder magnet napkin oboe paddle
	quartz rabbit sailor tablet umpire vacuum walnut yogurt zebra monkey summer winter silver orange flower soccer happy river stone
	cloud apple chair horse battery staple correct purple yellow music north ocean piano queen robot snake tiger uncle violet wagon`)

// There are no rules about kinds of characters: long and random passwords are accepted in any
// alphabet.
func TestRandomPasswordsAndPassphrasesAreAccepted(t *testing.T) {
	t.Attr("control", "201")
	words := []string{"augusta", "augusta@example.com", "example", "Lovelace", "accounts.example.com", "com", "Accounts"}
	source := rand.New(rand.NewPCG(201, 13))
	pick := func(from []rune, n int) string {
		var b strings.Builder
		for range n {
			b.WriteRune(from[source.IntN(len(from))])
		}
		return b.String()
	}
	for name, letters := range map[string]string{
		"lower case": "abcdefghijklmnopqrstuvwxyz", "digits": "0123456789", "hexadecimal": "0123456789abcdef",
		"letters and digits": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		"printable ASCII":    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
		"Hangul":             "가각간갈감갑강개객거건걸검겁게격견결겸경계고곡곤골공과관광교구국군굴궁권귀규균그극근금급기긴길김",
	} {
		t.Run(name, func(t *testing.T) {
			for range 5000 {
				wantPolicy(t, pick([]rune(letters), 12+source.IntN(9)), "", words...)
			}
		})
	}
	t.Run("passphrases", func(t *testing.T) {
		for range 20000 {
			var phrase []string
			for _, i := range source.Perm(len(dice))[:3+source.IntN(3)] {
				phrase = append(phrase, dice[i])
			}
			for _, gap := range []string{" ", "-", "", "7"} {
				if p := strings.Join(phrase, gap); len(p) >= 12 {
					wantPolicy(t, p, "", words...)
				}
			}
		}
	})
	t.Run("repeated, of a unit that is long enough", func(t *testing.T) { wantPolicy(t, "correct horse;correct horse;", "") })
}

func BenchmarkCheckPolicy(b *testing.B) {
	for _, password := range []string{"correct horse battery staple", varied("bdgkmrtwz", 256), strings.Repeat("a", 255) + "b", strings.Repeat("abc", 85) + "b"} {
		b.Run(fmt.Sprintf("%.8s/%d", password, len(password)), func(b *testing.B) {
			for b.Loop() {
				_ = CheckPolicy(password, 12, "ada", "ada@example.com", "Ada", "Lovelace", "Ada Lovelace")
			}
		})
	}
}
