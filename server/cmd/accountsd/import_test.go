package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/servertest/mysqlproxy"
)

// djangoHash is the hash of goodPassword: hashlib.pbkdf2_hmac("sha256", b"correct horse battery",
// b"seasalt", 1000), in base64.
const djangoHash = "pbkdf2_sha256$1000$seasalt$DrdiWD40lyBuydnjvZiDrdQMx1S1mOA9O0QYex0R6ww="

// djangoObject is an object of a dump.
func djangoObject(model string, pk any, fields map[string]any) map[string]any {
	return map[string]any{"model": model, "pk": pk, "fields": fields}
}

func djangoUser(model string, id int, username, email string) map[string]any {
	return djangoObject(model, id, map[string]any{
		"password": djangoHash, "last_login": nil, "is_superuser": id == 1, "username": username, "first_name": "Ada", "last_name": "Lovelace",
		"email": email, "is_staff": false, "is_active": true, "date_joined": "2020-02-03T04:05:06.789Z", "groups": []int{1}, "user_permissions": []int{},
	})
}

// dump writes a file in the format of dumpdata.
func dump(t *testing.T, objects ...map[string]any) string {
	t.Helper()
	text, err := json.MarshalIndent(objects, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return dumpText(t, string(text))
}

func dumpText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tokenObjects(expires time.Time) []map[string]any {
	return []map[string]any{
		djangoObject("token_blacklist.outstandingtoken", 1, map[string]any{"user": 1, "jti": "one", "token": "x", "created_at": nil, "expires_at": expires}),
		djangoObject("token_blacklist.outstandingtoken", 2, map[string]any{"user": 1, "jti": "two", "token": "x", "created_at": nil, "expires_at": expires}),
		djangoObject("token_blacklist.outstandingtoken", 3, map[string]any{"user": nil, "jti": "three", "token": "x", "created_at": nil, "expires_at": "some day"}),
		djangoObject("token_blacklist.blacklistedtoken", 9, map[string]any{"token": 1, "blacklisted_at": expires}),
		djangoObject("token_blacklist.blacklistedtoken", 10, map[string]any{"token": 3, "blacklisted_at": expires}),
	}
}

const smallReport = `users in auth_user  5
imported            4
already present     0
not imported        1
used tokens         2
Adjusted by a rule:
  1  superuser in Django: is a superuser with every permission            ids 1
  1  e-mail address empty or not valid: imported without one              ids 3
  1  e-mail address belongs to another user: imported without one         ids 4
  1  username belongs to another user: -ID added, or replaced by user-ID  ids 4
Not imported:
  1  id is not from 1 to 2^52  ids 0
`

func smallDump(t *testing.T) string {
	return dump(t, append([]map[string]any{
		djangoObject("contenttypes.contenttype", 1, map[string]any{"app_label": "auth", "model": "user"}),
		djangoUser("auth.user", 0, "zero", "zero@example.com"), djangoUser("auth.user", 1, "ada", "ada@example.com"),
		djangoUser("auth.user", 2, "grace", "grace@example.com"), djangoUser("auth.user", 3, "alan", ""), djangoUser("auth.user", 4, "ADA", "Ada@example.com"),
	}, tokenObjects(time.Now().Add(time.Hour))...)...)
}

// An import from a file, as an operator runs it: a dry run, the import, and a second import.
func TestImportOfDumpIsRepeatable(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e)
		from := smallDump(t)
		r := s.run("", "import-django", "--from", from, "--dry-run")
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, `"accountsd migrate up"`) {
			t.Errorf("a dry run on an empty database: exit status %d\n%s%s", r.code, r.out, r.err)
		}
		s.mustRun("", "migrate", "up")
		const leftOut = "accountsd: 1 users were not imported: see the report\n"
		r = s.run("", "import-django", "--from", from, "--emails-verified", "--dry-run")
		if want := "Dry run: nothing was changed. An import would give this result:\n" + smallReport; r.code != 1 || r.err != leftOut || r.out != want {
			t.Errorf("exit status %d\n%s%s", r.code, r.err, gocmp.Diff(want, r.out))
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM users") + s.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); n != 0 {
			t.Errorf("a dry run left %d rows", n)
		}
		r = s.run("", "import-django", "--from", from, "--emails-verified")
		if r.code != 1 || r.err != leftOut || r.out != smallReport {
			t.Errorf("exit status %d\n%s%s", r.code, r.err, gocmp.Diff(smallReport, r.out))
		}
		r = s.run("", "import-django", "--from", from, "--table", "auth.user")
		if !strings.Contains(r.out, "imported            0\nalready present     4\nnot imported        1\nused tokens         2\n") {
			t.Errorf("again: %s%s", r.err, r.out)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE purpose = 'legacy_refresh' AND used_at IS NOT NULL"); n != 2 {
			t.Errorf("%d tokens", n)
		}
		for _, name := range []string{"ada", "grace@example.com", "alan", "ada-4"} {
			if !s.canLogin(name, goodPassword) {
				t.Errorf("%s cannot log in", name)
			}
		}
	})
}

// django-allauth's table is read, from a dump and from a live database. Its entries override
// --emails-verified.
func TestImportReadsTableOfAllauth(t *testing.T) {
	t.Attr("control", "182")
	superuser := func(id int, username, email string) map[string]any {
		u := djangoUser("auth.user", id, username, email)
		u["fields"].(map[string]any)["is_superuser"] = id < 3
		return u
	}
	address := func(id, user int, email string, verified bool) map[string]any {
		return djangoObject("account.emailaddress", id, map[string]any{"user": user, "email": email, "verified": verified, "primary": true})
	}
	objects := []map[string]any{superuser(1, "ada", "ada@example.com"), superuser(2, "grace", "grace@example.com"), superuser(3, "alan", "alan@example.com"),
		address(7, 2, "grace@example.com", false), address(8, 1, "Ada@example.com", true)}
	sources := map[string]string{"dump": dump(t, objects...)}
	if slices.Contains(strings.Split(cmp.Or(os.Getenv("TEST_ENGINES"), "mysql"), ","), "mysql") {
		db := newDjango(t, 3)
		db.Exec(t, "UPDATE auth_user SET id = id / 3, is_superuser = id < 3 ORDER BY id")
		db.Exec(t, "CREATE TABLE account_emailaddress (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, email varchar(254) NOT NULL, verified tinyint(1) NOT NULL, `primary` tinyint(1) NOT NULL, user_id int NOT NULL)")
		db.Exec(t, "INSERT INTO account_emailaddress (email, verified, `primary`, user_id) VALUES ('person2@example.com', 0, 1, 2), ('Person1@example.com', 1, 1, 1)")
		db.Exec(t, "DELETE FROM token_blacklist_blacklistedtoken")
		sources["database"] = db.URL
	}
	for name, from := range sources {
		for _, stated := range []bool{false, true} {
			t.Run(fmt.Sprint(name, stated), func(t *testing.T) {
				s := onDatabase(t, servertest.SQLite)
				s.mustRun("", "migrate", "up")
				out := s.mustRun("", "import-django", "--from", from, fmt.Sprint("--emails-verified=", stated))
				if !strings.Contains(out, "  1  superuser in Django") || !strings.Contains(out, "  1  superuser or staff in Django, address not verified: ") {
					t.Error(out)
				}
				verified := "1"
				if stated { // allauth has no row for user 3
					verified = "1,3"
				}
				for query, want := range map[string]string{
					"SELECT group_concat(id) FROM users WHERE email_verified_at IS NOT NULL": verified,
					"SELECT group_concat(id) FROM users WHERE is_superuser OR is_staff":      "1",
				} {
					var got string
					if err := s.db.SQL.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
						t.Errorf("%s: %q, want %q (%v)", query, got, want, err)
					}
				}
			})
		}
	}
	s := onDatabase(t, servertest.SQLite)
	s.mustRun("", "migrate", "up")
	natural := djangoObject("account.emailaddress", 1, map[string]any{"user": []string{"ada"}, "email": "ada@example.com", "verified": false})
	if r := s.run("", "import-django", "--from", dump(t, objects[0], natural)); r.code != 1 || !strings.Contains(r.err, "create the dump again without --natural-foreign") {
		t.Errorf("exit status %d\n%s", r.code, r.err)
	}
}

// The formats of dumpdata are accepted. An error in the file is printed on one line before anything
// is written.
func TestImportAcceptsFormatsOfDumpdata(t *testing.T) {
	s := newShell(t)
	s.mustRun("", "migrate", "up")
	user := func(model string, id int) string {
		text, _ := json.Marshal(djangoUser(model, id, fmt.Sprint("u", id), ""))
		return string(text)
	}
	const noTable = "found no table of users with the columns id, password, last_login and username or email: name the table with --table"
	withoutEnd := dumpText(t, "["+user("auth.user", 1)+","+user("auth.user", 2))
	for from, want := range map[string]string{
		"/nowhere/dump.json":                         "open /nowhere/dump.json: no such file or directory",
		dumpText(t, ""):                              "does not start with [ or {",
		dumpText(t, "<?xml version=\"1.0\"?>"):       "does not start with [ or {",
		dumpText(t, "[1]"):                           "at byte",
		withoutEnd:                                   "the file is incomplete",
		dumpText(t, user("auth.user", 1)[:50]):       "the file is incomplete",
		dumpText(t, "["+strings.Repeat(" ", 17<<20)): "an object is longer than 16 MiB",
		dump(t, djangoObject("auth.group", 1, nil)):  noTable,
		dumpText(t, "["+user("auth.user", 1)+","+user("shop.customer", 1)+"]"): "several tables could contain the users: auth_user, shop_customer; choose one with --table",
	} {
		r := s.run("", "import-django", "--from", from)
		if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, want) {
			t.Errorf("want %q: exit status %d\n%s%s", want, r.code, r.out, r.err)
		}
	}
	// Text from the source must not control the terminal or forge lines of the report.
	s.wantRefused(s.run("", "import-django", "--from", dumpText(t, "["+user("auth.user\x1b]0;owned\x07", 1)+"]")), noTable)
	s.wantRefused(s.run("", "import-django", "--from", dumpText(t, "["+user("auth.user\nimported 1", 1)+"]")), noTable)
	if got := s.mustRun("", "user", "list", "--json"); got != "" {
		t.Errorf("imported: %s", got)
	}
	several := dumpText(t, "\ufeff \n["+user("auth.user", 1)+","+user("shop.customer", 2)+"]\n")
	for _, table := range []string{"auth.group", "shop"} {
		s.wantRefused(s.run("", "import-django", "--from", several, "--table", table), "there is no table "+table+": check --table")
	}
	s.wantRefused(s.run("", "import-django", "--from", dump(t, djangoObject("auth.group", 1, map[string]any{"name": "a"})), "--table", "auth.group"),
		"the table auth.group cannot be the table of users: it needs the columns id, password and username or email")
	s.mustRun("", "import-django", "--from", several, "--table", "shop.customer")
	// The format jsonl has one object per line.
	s.mustRun("", "import-django", "--from", dumpText(t, user("auth.user", 3)+"\n"+user("auth.user", 4)+"\n"+`{"model": "mail.box", "pk": 1, "fields": {"email": "x", "password": "y"}}`+"\n"))
	// The limit of 16 MiB is for each object, not for the file.
	long := func(id int) map[string]any {
		u := djangoUser("auth.user", id, fmt.Sprint("u", id), "")
		u["fields"].(map[string]any)["first_name"] = strings.Repeat("n", 9<<20)
		return u
	}
	s.mustRun("", "import-django", "--from", dump(t, long(1001), long(1002)))
	// A custom user model, and values of types that Django does not write.
	s.mustRun("", "import-django", "--emails-verified", "--from", dump(t, djangoObject("members.member", "5", map[string]any{
		"email": "five@example.com", "password": djangoHash, "last_login": "2021-01-01 10:00:00+02:00", "is_active": 1, "is_staff": "true", "first_name": nil, "last_name": 7,
	})))
	list := strings.Split(s.mustRun("", "user", "list", "--json"), "\n")
	if len(list) != 7 || !strings.Contains(list[3], `"id":5,"username":"user-5","email":"five@example.com","first_name":"","last_name":"7","is_active":true,"is_staff":true,"is_superuser":false`) ||
		!strings.Contains(list[3], `"last_login":"2021-01-01T08:00:00Z"`) {
		t.Errorf("%s", strings.Join(list, "\n"))
	}
	r := s.run("", "import-django", "--from", dump(t, djangoObject("auth.user", "8c9e1f0e-5f0b-4b8a-9a43-111111111111", map[string]any{"username": "x", "password": "!", "last_login": nil})))
	if r.code != 1 || !strings.Contains(r.out, "1  id is not from 1 to 2^52  ids 0\n") {
		t.Errorf("a UUID: %s%s", r.out, r.err)
	}
}

// newDjango returns a Django database on MariaDB, with the tables that Django creates.
func newDjango(t *testing.T, users int) *servertest.Database {
	t.Helper()
	db := servertest.NewDatabase(t, servertest.MySQL)
	db.Exec(t, djangoUserTable("auth_user"))
	db.Exec(t, "CREATE TABLE token_blacklist_outstandingtoken (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, token longtext NOT NULL, created_at datetime(6), expires_at datetime(6) NOT NULL, user_id int, jti varchar(255) NOT NULL UNIQUE)")
	db.Exec(t, "CREATE TABLE token_blacklist_blacklistedtoken (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, blacklisted_at datetime(6) NOT NULL, token_id bigint NOT NULL UNIQUE)")
	db.Exec(t, "INSERT INTO token_blacklist_outstandingtoken (id, token, expires_at, user_id, jti) VALUES (1, 'x', ?, 1, 'one'), (2, 'x', ?, 1, 'two'), (3, 'x', ?, NULL, 'three')", time.Now().Add(time.Hour), time.Now().Add(time.Hour), time.Now().Add(time.Hour))
	db.Exec(t, "INSERT INTO token_blacklist_blacklistedtoken (blacklisted_at, token_id) VALUES (NOW(), 1), (NOW(), 3)")
	for first := 1; first <= users; first += 1000 {
		var rows []string
		for id := first; id < first+1000 && id <= users; id++ {
			rows = append(rows, fmt.Sprintf("(%d, '%s', NULL, 0, 'person%d', '', '', 'person%d@example.com', 0, 1, '2020-02-03 04:05:06.789012')", 3*id, djangoHash, id, id))
		}
		db.Exec(t, "INSERT INTO auth_user (id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined) VALUES "+strings.Join(rows, ", "))
	}
	return db
}

func djangoUserTable(name string) string {
	return "CREATE TABLE " + name + " (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, password varchar(128) NOT NULL, last_login datetime(6), is_superuser tinyint(1) NOT NULL, username varchar(150) NOT NULL UNIQUE, " +
		"first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff tinyint(1) NOT NULL, is_active tinyint(1) NOT NULL, date_joined datetime(6) NOT NULL) DEFAULT CHARACTER SET utf8mb4"
}

// An import from a live database, which is read but not changed.
func TestImportReadsLiveDatabase(t *testing.T) {
	source := newDjango(t, 1203)
	source.Exec(t, "UPDATE auth_user SET username = 'J\u00e9r\u00f4me', first_name = '\U0001f600', last_login = '2024-01-02 03:04:05', is_superuser = 1, is_staff = 1, is_active = 0 WHERE id = 3")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.mustRun("", "migrate", "up")
		want := "users in auth_user  1203\nimported            1203\nalready present     0\nnot imported        0\nused tokens         2\nAdjusted by a rule:\n  1  superuser in Django: is a superuser with every permission  ids 3\n"
		if got := s.mustRun("", "import-django", "--from", source.URL, "--emails-verified", "--dry-run"); got != "Dry run: nothing was changed. An import would give this result:\n"+want {
			t.Errorf("%s", got)
		}
		if got := s.mustRun(source.URL+"\n", "import-django", "--from", "-", "--emails-verified"); got != want {
			t.Errorf("%s", got)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM users WHERE id = 3 * (SELECT COUNT(*) FROM users AS u WHERE u.id <= users.id)"); n != 1203 {
			t.Errorf("%d users have their ids", n)
		}
		first, _, _ := strings.Cut(s.mustRun("", "user", "list", "--json"), "\n")
		if !strings.Contains(first, `"id":3,"username":"J`+"\u00e9r\u00f4"+`me","email":"person1@example.com","first_name":"`+"\U0001f600"+`","last_name":"","is_active":false,"is_staff":true,"is_superuser":true`) ||
			!strings.Contains(first, `"last_login":"2024-01-02T03:04:05Z","date_joined":"2020-02-03T04:05:06.789012Z"`) {
			t.Errorf("%s", first)
		}
		if !s.canLogin("person2", goodPassword) {
			t.Error("person2 cannot log in")
		}
		for _, from := range []string{"mysql://app:hunter2@127.0.0.1:1/django", "postgres://app:hunter2@127.0.0.1/django", "mysql://app:hunter2@db.example.com/django", "sqlite:x://hunter2"} {
			r := s.run(from+"\n", "import-django", "--from", "-")
			if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || strings.Contains(r.err, "hunter2") {
				t.Errorf("%s: exit status %d\n%s%s", from, r.code, r.out, r.err)
			}
		}
		s.wantRefused(s.run("\n", "import-django", "--from", "-"), "the first line of standard input is not a mysql:// URL")
	})
	if n := source.Count(t, "SELECT COUNT(*) FROM auth_user WHERE password = ? AND (id = 3 OR last_login IS NULL)", djangoHash); n != 1203 {
		t.Error("the source was changed")
	}
}

// The table of users is found by its columns and is never this service's own table. If there are
// several, the operator must name one.
func TestImportFindsTableOfUsers(t *testing.T) {
	source := newDjango(t, 1)
	s := onDatabase(t, servertest.SQLite)
	s.mustRun("", "migrate", "up")
	ours := newShell(t, "ACCOUNTS_DATABASE_URL="+source.URL, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
	ours.mustRun("", "migrate", "up") // into the same database
	s.mustRun("", "import-django", "--from", source.URL)
	source.Exec(t, djangoUserTable("shop_Member"))
	s.wantRefused(s.run("", "import-django", "--from", source.URL), "several tables could contain the users: auth_user, shop_Member; choose one with --table")
	s.mustRun("", "import-django", "--from", source.URL, "--table", "auth.user")
	s.mustRun("", "import-django", "--from", source.URL, "--table", "shop.member")
	s.wantRefused(s.run("", "import-django", "--from", source.URL, "--table", "auth_users"), "there is no table auth_users: check --table")
	source.Exec(t, "ALTER TABLE shop_Member MODIFY id char(32) NOT NULL")
	s.wantRefused(s.run("", "import-django", "--from", source.URL, "--table", "shop_Member"), "cannot import the ids of shop_Member: they are char, not whole numbers")
	source.Exec(t, "DROP TABLE shop_Member")
	source.Exec(t, "DROP TABLE auth_user")
	source.Exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, email varchar(254) NOT NULL, password varchar(128) NOT NULL, last_login datetime)")
	source.Exec(t, "INSERT INTO people VALUES (77, 'seven@example.com', '!', '2024-01-01 00:00:00')")
	if out := s.mustRun("", "import-django", "--from", source.URL); !strings.Contains(out, "users in people  1\n") {
		t.Errorf("%s", out)
	}
}

// Text in the errors of the source's server must not control the terminal.
func TestImportEscapesErrorsOfHostileServer(t *testing.T) {
	source := servertest.NewDatabase(t, servertest.MySQL)
	source.Exec(t, "CREATE FUNCTION hostile() RETURNS char(1) NO SQL BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '\x1b]0;owned\x07\nimported 1'; RETURN ''; END")
	source.Exec(t, "CREATE VIEW auth_user AS SELECT 1 AS id, hostile() AS password, 'x' AS username, NULL AS last_login")
	s := onDatabase(t, servertest.SQLite)
	s.mustRun("", "migrate", "up")
	r := s.run("", "import-django", "--from", source.URL)
	if r.code != 1 || strings.Count(r.err, "\n") != 1 || strings.ContainsAny(r.err, "\x1b\x07") || !strings.Contains(r.err, "owned") {
		t.Errorf("exit status %d\n%q", r.code, r.err)
	}
}

// Either database may become unavailable during the import. The users imported so far stay and are
// reported, and the next run imports the rest.
func TestImportContinuesAfterDatabaseOutage(t *testing.T) {
	source, target := newDjango(t, 2600), servertest.NewDatabase(t, servertest.MySQL)
	for name, statement := range map[string]string{"source": "WHERE id > 3000 ORDER BY", "target": "'person1001','person1001'"} { // of the third batch
		t.Run(name, func(t *testing.T) {
			from, to := source.URL, target.URL
			behind := map[string]*string{"source": &from, "target": &to}[name]
			p, through, err := mysqlproxy.New(*behind, true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Away)
			*behind = through
			s := newShell(t, "ACCOUNTS_DATABASE_URL="+to, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
			s.db = target
			s.mustRun("", "migrate", "up")
			for _, table := range []string{"users", "events", "one_time_tokens"} {
				target.Exec(t, "DELETE FROM "+table)
			}
			p.Next(statement, mysqlproxy.CutBefore)
			r := s.run("", "import-django", "--from", from)
			if r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "accountsd: the import stopped after 1000 of 2600 users: ") || !strings.HasSuffix(r.err, "; imported users are kept, so run the import again\n") {
				t.Errorf("exit status %d\n%s", r.code, r.err)
			}
			if !strings.Contains(r.out, "imported            1000\n") || target.Count(t, "SELECT COUNT(*) FROM users") != 1000 {
				t.Errorf("%s", r.out)
			}
			if out := s.mustRun("", "import-django", "--from", from); !strings.Contains(out, "imported            1600\nalready present     1000\n") {
				t.Errorf("%s", out)
			}
		})
	}
}

// The import is killed twice and then run to the end. No user is lost, duplicated or incomplete,
// and duplicate names get the same result as in an uninterrupted run.
func TestKilledImportLosesAndDuplicatesNoUser(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	const users = 6_000
	var objects []map[string]any
	for id := 1; id <= users; id++ {
		username, email := fmt.Sprint("person", id), fmt.Sprintf("person%d@example.com", id)
		if id%7 == 0 {
			username = fmt.Sprint("PERSON", id-2000*(id/2500))
		}
		if id%11 == 0 {
			email = fmt.Sprintf("person%d@example.com", id/2)
		}
		objects = append(objects, djangoUser("auth.user", id, username, email))
	}
	from := dump(t, objects...)
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		whole, killed := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true"), onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		importUntil := func(s *shell, done int64) string {
			var output bytes.Buffer
			command := exec.Command(path, "import-django", "--emails-verified", "--from", from)
			command.Env, command.Stdout, command.Stderr = s.env, &output, &output
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			for done < users && s.db.Count(t, "SELECT COUNT(*) FROM users") < done {
				time.Sleep(time.Millisecond)
			}
			if done < users {
				_ = command.Process.Kill()
			}
			if err := command.Wait(); done == users && err != nil {
				t.Fatalf("%v\n%s", err, output.String())
			}
			return output.String()
		}
		killed.mustRun("", "migrate", "up")
		for _, done := range []int64{1, users / 2} {
			importUntil(killed, done)
			n := killed.db.Count(t, "SELECT COUNT(*) FROM users")
			if n < done || n == users || n%500 != 0 || killed.db.Count(t, "SELECT COUNT(*) FROM events") != n {
				t.Fatalf("%d users are there after a kill at %d, and %d events", n, done, killed.db.Count(t, "SELECT COUNT(*) FROM events"))
			}
		}
		importUntil(killed, users)
		whole.mustRun("", "import-django", "--emails-verified", "--from", from)
		if n := killed.db.Count(t, "SELECT COUNT(DISTINCT user_id) FROM events"); n != users || killed.db.Count(t, "SELECT COUNT(*) FROM events") != users {
			t.Errorf("%d users have events", n)
		}
		if diff := gocmp.Diff(whole.mustRun("", "user", "list"), killed.mustRun("", "user", "list")); diff != "" {
			t.Errorf("a run without a break is something else (-whole +killed):\n%s", diff)
		}
	})
}

func TestImportHelpDescribesEveryStep(t *testing.T) {
	s := newShell(t)
	help := s.mustRun("", "import-django", "--help")
	for _, word := range []string{"--from -", "--table", "--dry-run", "dumpdata", "--emails-verified", "account_emailaddress", "user create --superuser", "migrate up", "run it again", "UTC"} {
		if !strings.Contains(help, word) {
			t.Errorf("the help does not say %q", word)
		}
	}
	for line := range strings.Lines(help) {
		if len([]rune(line)) > 130 {
			t.Errorf("a line of %d characters: %s", len([]rune(line)), line)
		}
	}
	s.wantUsage(s.run("", "import-django"), `required flag(s) "from" not set: run "accountsd import-django --help"`)
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the help has made the data folder")
	}
}
