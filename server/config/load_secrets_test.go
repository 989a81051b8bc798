package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No fault prints a secret, even if it is in the wrong setting.
func TestLoadErrorsContainNoSecret(t *testing.T) {
	t.Attr("control", "94")
	for _, name := range append(settingNames(), "SECRET_KEYS_FILE", "DATABASE_URL_FILE", "SMTP_URL_FILE", "LEGACY_JWT_SECRETS_FILE", "SECRET_KEY", "TYPO") {
		for _, value := range []string{"s3cr3t", "s3cr3t,s3cr3t", "mysql://u:s3cr3t@h:x/", "mysql://u:s3cr3t@h/n?s3cr3t=1", "https://u:s3cr3t@h/%zz",
			"http://[s3cr3t", "1s3cr3t", "s3cr3t:s3cr3t:1", "\x7fs3cr3t\n",
			"smtp://u:s3cr3t@h:x", "smtp://s3cr3t@h", "smtp://u:s3cr3t@h/s3cr3t?s3cr3t=1", "s3cr3t <s3cr3t@s3cr3t>", "s3cr3t/s3cr3t"} {
			_, _, err := Load([]string{Prefix + name + "=" + value})
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}

func TestSecretFilesMustBePrivate(t *testing.T) {
	t.Attr("control", "94")
	write := func(content string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := write("s3cr3t-new,s3cr3t-old\r\n", 0o600)
	url := write("mysql://u:s3cr3t@db/n?tls=true\n", 0o640)
	smtp := write("smtps://u:s3cr3t@mail.example\n", 0o600)
	legacy := write("s3cr3t, with a comma\r\n0123456789abcdef0123456789abcdef\n", 0o640)
	link := filepath.Join(t.TempDir(), "link") // Kubernetes mounts secrets as symbolic links
	if err := os.Symlink(keys, link); err != nil {
		t.Fatal(err)
	}
	c, _ := mustLoad(t, environ("SECRET_KEYS_FILE="+link+" DATABASE_URL_FILE="+url+" SMTP_URL_FILE="+smtp+" MAIL_FROM=a@b.example LEGACY_JWT_UNTIL=2000-01-01 LEGACY_JWT_SECRETS_FILE="+legacy))
	if diff := cmp.Diff([]Secret{"s3cr3t-new", "s3cr3t-old"}, c.SecretKeys); diff != "" || c.Database.Password != "s3cr3t" || c.SMTPURL != "smtps://u:s3cr3t@mail.example" || c.Mail != MailSMTP {
		t.Fatal(diff, c)
	}
	if diff := cmp.Diff(Lines{"s3cr3t, with a comma", "0123456789abcdef0123456789abcdef"}, c.LegacyJWTSecrets); diff != "" {
		t.Error(diff)
	}

	const open = "ACCOUNTS_SECRET_KEYS_FILE must name a file that others can neither read nor write. Run chmod o-rw on it"
	for path, want := range map[string]string{
		write("s3cr3t", 0o644):                      open,
		write("s3cr3t", 0o602):                      open,
		write("", 0o600):                            "ACCOUNTS_SECRET_KEYS_FILE must name a file that is not empty",
		write("\n", 0o600):                          "ACCOUNTS_SECRET_KEYS_FILE must name a file that is not empty",
		write(strings.Repeat("s", 64<<10+1), 0o600): "ACCOUNTS_SECRET_KEYS_FILE must name a file of at most 64 KiB",
		write("s3cr3t,\n", 0o600):                   "ACCOUNTS_SECRET_KEYS entry 2 must not be empty",
	} {
		_, _, err := Load(environ("SECRET_KEYS_FILE=" + path))
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
