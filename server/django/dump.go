package django

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/accounts/server/accounts"
)

// Dump is a file of `manage.py dumpdata`, in its formats json and jsonl.
type Dump struct {
	path, table  string
	total, last  int64
	tokens       []accounts.DjangoToken
	hasAddresses bool
}

// object is one of them.
type object struct {
	Model  string
	PK     json.RawMessage
	Fields json.RawMessage
}

// maxObject is more than the text of one object has: a file that is none of Django's is not to fill the memory.
const maxObject = 16 << 20 // bytes

// OpenDump reads the file once, to find the users and the blacklist. Table may be empty, or as auth_user or auth.user.
func OpenDump(ctx context.Context, path, table string) (*Dump, error) {
	d := &Dump{path: path}
	columns, counts, greatest := map[string][]string{}, map[string]int64{}, map[string]int64{}
	list := blacklist{outstanding: map[string]accounts.DjangoToken{}, listed: map[string]bool{}}
	err := d.read(ctx, func(o object) error {
		model := asTable(o.Model)
		if counts[model]++; counts[model] == 1 {
			names, err := fieldNames(o)
			if err != nil {
				return err
			}
			columns[model] = append(names, "id")
		}
		if id := number(o.PK); id <= accounts.MaxImportedID {
			greatest[model] = max(greatest[model], id)
		}
		return list.add(model, o)
	})
	if err != nil {
		return nil, err
	}
	if d.table, err = choose(columns, table); err != nil {
		return nil, err
	}
	d.total, d.last, d.tokens = counts[d.table], greatest[d.table], list.tokens()
	d.hasAddresses = counts[addressTable] > 0
	return d, nil
}

func fieldNames(o object) ([]string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(o.Fields, &fields); err != nil {
		return nil, err
	}
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	return names, nil
}

// Table is the model of the users, written as its table.
func (d *Dump) Table() string { return d.table }

// Total is how many users there are.
func (d *Dump) Total() int64 { return d.total }

// Greatest is the greatest id that can be imported.
func (d *Dump) Greatest() int64 { return d.last }

// Close has nothing to do: the file is open only while it is read.
func (d *Dump) Close() error { return nil }

// Tokens hands the blacklist on.
func (d *Dump) Tokens(_ context.Context, f func([]accounts.DjangoToken) error) error {
	for rest := d.tokens; len(rest) > 0; {
		n := min(batch, len(rest))
		if err := f(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// Addresses reads the file once more, for the rows of django-allauth.
func (d *Dump) Addresses(ctx context.Context, f func([]accounts.DjangoAddress) error) error {
	if !d.hasAddresses {
		return nil
	}
	return objectsOf(ctx, d, addressTable, object.address, f)
}

// Users reads the file once more. dumpdata writes by growing id.
func (d *Dump) Users(ctx context.Context, f func([]accounts.DjangoUser) error) error {
	return objectsOf(ctx, d, d.table, object.user, f)
}

// objectsOf reads the file and calls f with the objects of one model, a batch at a time.
func objectsOf[T any](ctx context.Context, d *Dump, table string, convert func(object) (T, error), f func([]T) error) error {
	var list []T
	var stopped error // by f
	err := d.read(ctx, func(o object) error {
		if asTable(o.Model) != table {
			return nil
		}
		each, err := convert(o)
		if err != nil {
			return err
		}
		if list = append(list, each); len(list) == batch {
			stopped = f(list)
			list = nil
		}
		return stopped
	})
	switch {
	case stopped != nil:
		return stopped
	case err != nil:
		return err
	case len(list) == 0:
		return nil
	}
	return f(list)
}

// read calls f with every object of the file, one at a time.
func (d *Dump) read(ctx context.Context, f func(object) error) (err error) {
	file, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bounded := &boundedReader{from: bufio.NewReaderSize(file, 1<<16)}
	if start, _ := bounded.from.Peek(3); bytes.Equal(start, []byte("\ufeff")) { // which Windows writes
		_, _ = bounded.from.Discard(3)
	}
	first, err := bounded.from.ReadByte()
	for ; err == nil && strings.ContainsRune(" \t\r\n", rune(first)); first, err = bounded.from.ReadByte() {
	}
	if err != nil || first != '[' && first != '{' {
		return fmt.Errorf("%s is no file of dumpdata: it begins with neither [ nor {", d.path)
	}
	if err := bounded.from.UnreadByte(); err != nil {
		return err
	}
	objects := json.NewDecoder(bounded)
	bounded.left = maxObject
	if first == '[' {
		if _, err := objects.Token(); err != nil {
			return d.broken(objects, err)
		}
	}
	for first == '{' || objects.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var o object
		bounded.left = maxObject
		err := objects.Decode(&o)
		if first == '{' && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return d.broken(objects, err)
		}
		if err := f(o); err != nil {
			return d.broken(objects, err)
		}
	}
	if _, err := objects.Token(); err != nil { // a file that was cut off has no end
		return d.broken(objects, err)
	}
	return nil
}

// broken says where. The text of JSON's errors may quote a character, and no more, of what is there.
func (d *Dump) broken(objects *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	return fmt.Errorf("%s cannot be read on at byte %d: %w", d.path, objects.InputOffset(), err)
}

// boundedReader ends when an object is too long.
type boundedReader struct {
	from *bufio.Reader
	left int
}

// Read serves the decoder.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("an object is longer than 16 MiB")
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// user reads the fields as they come: a text may be null, a flag a number.
func (o object) user() (accounts.DjangoUser, error) {
	var fields struct {
		Username, Email, Password text
		FirstName                 text  `json:"first_name"`
		LastName                  text  `json:"last_name"`
		IsActive                  *text `json:"is_active"`
		IsStaff                   text  `json:"is_staff"`
		IsSuperuser               text  `json:"is_superuser"`
		LastLogin                 text  `json:"last_login"`
		DateJoined                text  `json:"date_joined"`
	}
	if err := json.Unmarshal(o.Fields, &fields); err != nil {
		return accounts.DjangoUser{}, err
	}
	u := accounts.DjangoUser{
		ID: number(o.PK), Username: string(fields.Username), Email: string(fields.Email), Password: string(fields.Password),
		FirstName: string(fields.FirstName), LastName: string(fields.LastName),
		IsActive: fields.IsActive == nil || fields.IsActive.flag(), IsStaff: fields.IsStaff.flag(), IsSuperuser: fields.IsSuperuser.flag(),
	}
	if fields.LastLogin != "" {
		u.LastLogin = parseTime(string(fields.LastLogin))
	}
	if fields.DateJoined != "" {
		u.DateJoined = parseTime(string(fields.DateJoined))
	}
	return u, nil
}

// address reads a row of django-allauth. With --natural-foreign dumpdata writes a user's name in
// place of the id. Such a row is an error: if it were skipped, an address that allauth marks as not
// verified would count as one that allauth does not know.
func (o object) address() (accounts.DjangoAddress, error) {
	var fields struct {
		User            json.RawMessage
		Email, Verified text
	}
	if err := json.Unmarshal(o.Fields, &fields); err != nil {
		return accounts.DjangoAddress{}, err
	}
	if bytes.HasPrefix(fields.User, []byte("[")) {
		return accounts.DjangoAddress{}, errors.New("account.emailaddress has names of users instead of their ids: dump it again without --natural-foreign")
	}
	return accounts.DjangoAddress{UserID: number(fields.User), Email: string(fields.Email), Verified: fields.Verified.flag()}, nil
}

// number is 0 for what is no whole number, such as a UUID.
func number(value json.RawMessage) int64 {
	n, err := strconv.ParseInt(strings.Trim(string(value), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// text is a JSON value as text: null is empty, and what is no string is as it is written.
type text string

// UnmarshalJSON serves the decoder.
func (t *text) UnmarshalJSON(value []byte) error {
	if value[0] == '"' {
		return json.Unmarshal(value, (*string)(t))
	}
	if *t = text(value); *t == "null" {
		*t = ""
	}
	return nil
}

func (t text) flag() bool { return t == "true" || t == "1" || t == "True" }

// blacklist puts simplejwt's two models together, in whatever order they come.
type blacklist struct {
	outstanding map[string]accounts.DjangoToken // by id
	listed      map[string]bool                 // ids
}

// keepExpired: of a table that only ever grows those are kept in memory that have not expired, by any clock.
const keepExpired = 24 * time.Hour

func (b *blacklist) add(model string, o object) error {
	switch model {
	case outstandingTokens:
		var fields struct {
			JTI, User text
			Expires   text `json:"expires_at"`
		}
		if err := json.Unmarshal(o.Fields, &fields); err != nil {
			return err
		}
		t := accounts.DjangoToken{JTI: string(fields.JTI), UserID: number(json.RawMessage(fields.User)), ExpiresAt: *parseTime(string(fields.Expires))}
		if t.ExpiresAt.IsZero() || time.Since(t.ExpiresAt) < keepExpired {
			b.outstanding[string(o.PK)] = t
		}
	case blacklistedTokens:
		var fields struct{ Token json.RawMessage }
		if err := json.Unmarshal(o.Fields, &fields); err != nil {
			return err
		}
		b.listed[string(fields.Token)] = true
	}
	return nil
}

func (b *blacklist) tokens() []accounts.DjangoToken {
	var list []accounts.DjangoToken
	for id := range b.listed {
		if t, ok := b.outstanding[id]; ok {
			list = append(list, t)
		}
	}
	return list
}
