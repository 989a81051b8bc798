package server

import (
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// The bounds of bodyLimit, in bytes.
const (
	minBodyLimit = 1 << 10
	maxBodyLimit = 16 << 10
)

// The most that a body may contain.
const (
	maxDepth = 32
	// No request of the contract has this many members. Each unknown member would cost the
	// validator an error.
	maxMembers  = 100
	maxElements = 1000
)

// The maximum lengths of the parts of a JSON document, in bytes.
const (
	longestEscape   = 12 // an escaped code point: \ud83d\ude00
	longestNumber   = 24
	longestLiteral  = 5  // false
	spaceOfElement  = 32 // punctuation, a line break and indentation around a member or an element
	spaceOfDocument = 64
)

// bodyLimit returns the maximum size of the body of an operation, in bytes. It is the size of the
// longest document that the schema accepts, with every character escaped, but at least 1 KiB and at
// most 16 KiB. It is 0 for an operation without a body.
//
// Security: an attacker can make the server hold the received part of a body until the read
// timeout, on each of thousands of connections and without any credential.
func bodyLimit(op *openapi3.Operation) int {
	if op.RequestBody == nil {
		return 0
	}
	media := op.RequestBody.Value.Content["application/json"]
	if media == nil || media.Schema == nil {
		return maxBodyLimit
	}
	return min(max(minBodyLimit, spaceOfDocument+longestJSON(media.Schema.Value, 0)), maxBodyLimit)
}

// longestJSON returns the length of the longest document that a schema accepts, or maxBodyLimit if
// the schema does not bound the length or allows a longer document.
func longestJSON(schema *openapi3.Schema, depth int) int {
	length := maxBodyLimit
	switch {
	case depth > maxDepth:
	case len(schema.Enum) > 0:
		length = longestOfEnum(schema.Enum)
	case schema.Type.Is(openapi3.TypeBoolean):
		length = longestLiteral
	case schema.Type.Is(openapi3.TypeInteger), schema.Type.Is(openapi3.TypeNumber):
		length = longestNumber
	case schema.Type.Is(openapi3.TypeString) && schema.MaxLength != nil:
		length = longestString(int(min(*schema.MaxLength, maxBodyLimit)))
	case schema.Type.Is(openapi3.TypeArray) && schema.MaxItems != nil && schema.Items != nil:
		length = 2 + int(min(*schema.MaxItems, maxBodyLimit))*(spaceOfElement+longestJSON(schema.Items.Value, depth+1))
	case schema.Type.Is(openapi3.TypeObject) && isClosed(schema):
		length = longestObject(schema, depth)
	}
	return min(length, maxBodyLimit)
}

// isClosed reports whether an object has no other members than its properties.
func isClosed(schema *openapi3.Schema) bool {
	other := schema.AdditionalProperties
	return other.Has != nil && !*other.Has && other.Schema == nil
}

func longestObject(schema *openapi3.Schema, depth int) int {
	length := 2
	for name, property := range schema.Properties {
		length += spaceOfElement + longestString(utf8.RuneCountInString(name)) + longestJSON(property.Value, depth+1)
	}
	return length
}

func longestOfEnum(values []any) int {
	length := longestNumber
	for _, value := range values {
		if text, ok := value.(string); ok {
			length = max(length, longestString(utf8.RuneCountInString(text)))
		}
	}
	return length
}

func longestString(codePoints int) int { return 2 + codePoints*longestEscape }
