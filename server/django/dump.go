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

// Dump is a file written by `manage.py dumpdata` in the format json or jsonl.
type Dump struct {
	path, table  string
	total, last  int64
	tokens       []accounts.DjangoToken
	hasAddresses bool
}

// object is an object in a dump.
type object struct {
	Model  string
	PK     json.RawMessage
	Fields json.RawMessage
}

// maxObject is larger than any object that Django writes. It bounds the memory for a file that
// Django did not write.
const maxObject = 16 << 20 // bytes

// OpenDump reads the file once, to find the users and the blacklist. The table may be empty, or
// written as auth_user or auth.user.
func OpenDump(ctx context.Context, path, table string) (*Dump, error) {
	d := &Dump{path: path}
	columns, counts, greatest := map[string][]string{}, map[string]int64{}, map[string]int64{}
	list := blacklist{outstanding: map[string]accounts.DjangoToken{}, listed: map[string]bool{}}
	err := d.read(ctx, func(o object) error {
		model := tableName(o.Model)
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
	if d.table, err = chooseTable(columns, table); err != nil {
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

// Table returns the model of the users in the form of a table name.
func (d *Dump) Table() string { return d.table }

// Total returns the number of users.
func (d *Dump) Total() int64 { return d.total }

// Greatest returns the greatest id that can be imported.
func (d *Dump) Greatest() int64 { return d.last }

// Close does nothing, because the file is open only while it is read.
func (d *Dump) Close() error { return nil }

// Tokens calls f with the blacklisted tokens in batches.
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

// Addresses reads the file again and calls f with the rows of django-allauth in batches.
func (d *Dump) Addresses(ctx context.Context, f func([]accounts.DjangoAddress) error) error {
	if !d.hasAddresses {
		return nil
	}
	return objectsOf(ctx, d, addressTable, object.address, f)
}

// Users reads the file again and calls f with the users in batches. dumpdata writes them in
// ascending order of ids.
func (d *Dump) Users(ctx context.Context, f func([]accounts.DjangoUser) error) error {
	return objectsOf(ctx, d, d.table, object.user, f)
}

// objectsOf reads the file and calls f with the objects of one model, a batch at a time.
func objectsOf[T any](ctx context.Context, d *Dump, table string, convert func(object) (T, error), f func([]T) error) error {
	var list []T
	var stopped error // the error of f
	err := d.read(ctx, func(o object) error {
		if tableName(o.Model) != table {
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
	if start, _ := bounded.from.Peek(3); bytes.Equal(start, []byte("\ufeff")) { // the byte order mark that Windows writes
		_, _ = bounded.from.Discard(3)
	}
	first, err := bounded.from.ReadByte()
	for ; err == nil && strings.ContainsRune(" \t\r\n", rune(first)); first, err = bounded.from.ReadByte() {
	}
	if err != nil || first != '[' && first != '{' {
		return fmt.Errorf("%s is not a dumpdata file: it does not start with [ or {", d.path)
	}
	if err := bounded.from.UnreadByte(); err != nil {
		return err
	}
	objects := json.NewDecoder(bounded)
	bounded.left = maxObject
	if first == '[' {
		if _, err := objects.Token(); err != nil {
			return d.decodeError(objects, err)
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
			return d.decodeError(objects, err)
		}
		if err := f(o); err != nil {
			return d.decodeError(objects, err)
		}
	}
	if _, err := objects.Token(); err != nil { // a truncated file has no closing bracket
		return d.decodeError(objects, err)
	}
	return nil
}

// decodeError returns an error of the JSON decoder together with its position in the file. An error
// of the decoder may quote one character of the file, but no more.
func (d *Dump) decodeError(objects *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file is incomplete")
	}
	return fmt.Errorf("cannot read %s at byte %d: %w", d.path, objects.InputOffset(), err)
}

// boundedReader fails when an object is too long.
type boundedReader struct {
	from *bufio.Reader
	left int
}

// Read implements [io.Reader].
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("an object is longer than 16 MiB")
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// user returns the user in an object. It also accepts null for a text and a number for a flag.
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
		IsActive: fields.IsActive == nil || fields.IsActive.isTrue(), IsStaff: fields.IsStaff.isTrue(), IsSuperuser: fields.IsSuperuser.isTrue(),
	}
	if fields.LastLogin != "" {
		u.LastLogin = parseTime(string(fields.LastLogin))
	}
	if fields.DateJoined != "" {
		u.DateJoined = parseTime(string(fields.DateJoined))
	}
	return u, nil
}

// address returns a row of django-allauth. With --natural-foreign, dumpdata writes a user's name
// instead of the id. Such a row is an error: if it were skipped, an address that allauth marks as
// not verified would be treated like one that allauth does not know.
func (o object) address() (accounts.DjangoAddress, error) {
	var fields struct {
		User            json.RawMessage
		Email, Verified text
	}
	if err := json.Unmarshal(o.Fields, &fields); err != nil {
		return accounts.DjangoAddress{}, err
	}
	if bytes.HasPrefix(fields.User, []byte("[")) {
		return accounts.DjangoAddress{}, errors.New("account.emailaddress contains usernames instead of user ids: create the dump again without --natural-foreign")
	}
	return accounts.DjangoAddress{UserID: number(fields.User), Email: string(fields.Email), Verified: fields.Verified.isTrue()}, nil
}

// number returns the integer in a JSON value, or 0 if it is none, such as a UUID.
func number(value json.RawMessage) int64 {
	n, err := strconv.ParseInt(strings.Trim(string(value), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// text is a JSON value as text. Null is empty, and other values that are not strings keep their
// JSON text.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(value []byte) error {
	if value[0] == '"' {
		return json.Unmarshal(value, (*string)(t))
	}
	if *t = text(value); *t == "null" {
		*t = ""
	}
	return nil
}

func (t text) isTrue() bool { return t == "true" || t == "1" || t == "True" }

// blacklist joins the objects of simplejwt's two models, which occur in any order.
type blacklist struct {
	outstanding map[string]accounts.DjangoToken // by id
	listed      map[string]bool                 // ids
}

// keepExpired is how long after their expiry tokens are kept in memory. It allows for wrong clocks.
// Older tokens are skipped, because the table of outstanding tokens only grows.
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
