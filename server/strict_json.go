package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
)

// parseStrictJSON decodes one JSON document (RFC 8259) that is I-JSON (RFC 7493): in UTF-8, without
// duplicate names or lone surrogates, and with nothing after it. It rejects a nesting deeper than
// maxDepth.
func parseStrictJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) || hasLoneSurrogate(raw) {
		return nil, problemOf(problem.RequestMalformed)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	value, field, err := decodeValue(d, nil)
	if field != nil {
		return nil, problemOf(problem.RequestMalformed, *field)
	}
	if err != nil {
		return nil, malformed(err)
	}
	return value, nil
}

var (
	errTooDeep = errors.New("nested too deeply")
	errTooMany = errors.New("too many members or elements")
)

// decodeValue decodes the next value, which is at path. The second result is an error that has a
// JSON pointer, and the third is any other error.
func decodeValue(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	if len(path) > maxDepth {
		return nil, nil, errTooDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, nil, err
	}
	switch t {
	case json.Delim('{'):
		return decodeObject(d, path)
	case json.Delim('['):
		return decodeArray(d, path)
	}
	return t, nil, nil
}

func decodeObject(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	object := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		if len(object) == maxMembers {
			return nil, nil, errTooMany
		}
		name, _ := t.(string)
		inner := append(path[:len(path):len(path)], name)
		if _, twice := object[name]; twice {
			f := memberError(inner, api.FieldErrorCodeFieldDuplicate)
			return nil, &f, nil
		}
		value, field, err := decodeValue(d, inner)
		if field != nil || err != nil {
			return nil, field, err
		}
		object[name] = value
	}
	_, err := d.Token()
	return object, nil, err
}

func decodeArray(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	array := []any{}
	for i := 0; d.More(); i++ {
		if i == maxElements {
			return nil, nil, errTooMany
		}
		value, field, err := decodeValue(d, append(path[:len(path):len(path)], strconv.Itoa(i)))
		if field != nil || err != nil {
			return nil, field, err
		}
		array = append(array, value)
	}
	_, err := d.Token()
	return array, nil, err
}

// hasLoneSurrogate reports whether a valid JSON document contains an escape such as \ud800 without
// its other half. encoding/json silently replaces it by U+FFFD, so that two different texts would
// become equal.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		unit := parseEscapedUnit(raw[i+1:])
		i += 4
		switch {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return true
			}
			if low := parseEscapedUnit(raw[i+3:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

func parseEscapedUnit(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil { // impossible: the document is valid
		return 0
	}
	return unit
}
