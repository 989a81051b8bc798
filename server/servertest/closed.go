package servertest

import (
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/api"
)

// closedContract returns the contract with closed response schemas, which is parsed once.
//
// The contract leaves responses open, so that a later version may add members. The tests must be
// stricter: they reject a member that the contract does not have. They also reject an empty string
// where the contract has null for an absent value, and a time that is not in whole seconds with Z.
// This holds for every schema to which a response refers at any depth. Only a schema with
// "additionalProperties: true" stays open.
var closedContract = sync.OnceValue(func() *openapi3.T {
	doc, err := api.GetSpec()
	if err != nil {
		panic(err)
	}
	doc.Servers = nil
	c := closer{}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for _, response := range op.Responses.Map() {
				for _, media := range response.Value.Content {
					c.close(media.Schema)
				}
			}
		}
	}
	c.close(doc.Components.Schemas["Problem"]) // for responses that belong to no operation
	return doc
})

// wholeSeconds is the pattern of the schema Timestamp.
const wholeSeconds = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`

// closer is the set of schemas that are already closed.
type closer map[*openapi3.Schema]bool

// close closes a schema in place, and all schemas below it.
func (c closer) close(ref *openapi3.SchemaRef) {
	if ref == nil || ref.Value == nil || c[ref.Value] {
		return
	}
	schema := ref.Value
	c[schema] = true
	merge(schema)
	additional := schema.AdditionalProperties
	switch {
	case isObject(schema) && additional.Has == nil && additional.Schema == nil:
		no := false
		schema.AdditionalProperties.Has = &no
	case schema.Type.Is(openapi3.TypeString) && schema.Format == "date-time":
		schema.Pattern = wholeSeconds
	case schema.Type.Is(openapi3.TypeString) && schema.Nullable:
		schema.MinLength = max(schema.MinLength, 1)
	}
	for _, property := range schema.Properties {
		c.close(property)
	}
	for _, part := range slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf, openapi3.SchemaRefs{schema.Items, additional.Schema}) {
		c.close(part)
	}
}

// merge replaces an allOf of objects by one object, because none of its parts alone has all
// members. A member that several parts describe must match all of them.
func merge(schema *openapi3.Schema) {
	for _, part := range schema.AllOf {
		if merge(part.Value); !isObject(part.Value) {
			return
		}
	}
	for _, part := range schema.AllOf {
		schema.Type, schema.Required = part.Value.Type, append(schema.Required, part.Value.Required...)
		for name, property := range part.Value.Properties {
			if schema.Properties == nil {
				schema.Properties = openapi3.Schemas{}
			}
			if other := schema.Properties[name]; other != nil {
				property = &openapi3.SchemaRef{Value: &openapi3.Schema{AllOf: openapi3.SchemaRefs{other, property}}}
			}
			schema.Properties[name] = property
		}
	}
	schema.AllOf = nil
}

func isObject(schema *openapi3.Schema) bool { return schema.Type.Is(openapi3.TypeObject) }
