package main

// mutation breaks one decision in the text of the contract.
type mutation struct {
	name  string
	want  string // the rule or a part of the message; empty if the check must accept the change
	path  string // spectral: part of the place that the rule reports
	edits []edit
}

// edit replaces the first `from` that follows the first `after`, or every `from`.
type edit struct {
	after, from, to string
	all             bool
}

// one returns a mutation with one edit.
func one(name, want, after, from, to string) mutation {
	return mutation{name: name, want: want, edits: []edit{{after: after, from: from, to: to}}}
}

// everywhere returns a mutation that replaces all occurrences.
func everywhere(name, want, from, to string) mutation {
	return mutation{name: name, want: want, edits: []edit{{from: from, to: to, all: true}}}
}

// at adds to a mutation the place that spectral must report.
func at(path string, m mutation) mutation {
	m.path = path
	return m
}

// Places of openapi.yaml.
const (
	ofSession  = "\n    Session:\n"
	ofEvent    = "\n    Event:\n"
	ofRequest  = "\n    RegisterRequest:\n"
	ofGetUser  = "operationId: getUser\n"
	ofReset    = "operationId: requestPasswordReset\n"
	requestID  = "            X-Request-Id: {$ref: '#/components/headers/X-Request-Id'}\n"
	malformed  = "        '400': {$ref: '#/components/responses/RequestMalformed'}\n"
	object     = "      type: object\n"
	properties = "      properties:\n"
	extensible = "      x-extensible-enum: true\n"
)

var lintMutations = []mutation{
	at("schemas Session", one("a closed response", "answer-open", ofSession, object, object+"      additionalProperties: false\n")),
	at("EventActor", one("an enum without the mark", "answer-enum-extensible", "\n    EventActor:\n", extensible, "")),
	at("UserRole", one("an empty string in an enum", "no-empty-enum-value", "\n    UserRole:\n", "[none,", "['', none,")),
	at("ProfileExport", one("a time with a fraction", "answer-whole-seconds", "\n    ProfileExport:\n", "[0-9]{2}Z$", "[0-9]{2}(\\.[0-9]+)?Z$")),
	at("Reauthenticated", one("a time without a pattern", "answer-whole-seconds", "\n    Reauthenticated:\n", properties, properties+"        until: {type: string, format: date-time}\n")),
	at("SessionList", one("a list without next_cursor", "list-has-cursor", "\n    SessionList:\n", "        next_cursor: {$ref: '#/components/schemas/NextCursor'}\n", "")),
	at("UserList", one("a list with an optional next_cursor", "list-has-cursor", "\n    UserList:\n", "[users, next_cursor]", "[users]")),
	at("password/reset", one("202 without a body", "accepted-with-body", ofReset, "          content: *accepted\n", "")),
	at("SettingsResult", one("a field without a description", "member-description", "\n    SettingsResult:\n", properties, properties+"        more: {type: boolean, example: true}\n")),
	at("Jwk", one("a field without an example", "member-example", "\n    Jwk:\n", ", example: OKP}", "}")),
	at("Cursor", one("a schema without an example", "member-example", "\n    Cursor:\n", "      example:", "      x-example:")),
	at("JwkSet", one("a schema without a description", "schema-description", "\n    JwkSet:\n", "      description: A set of public keys (RFC 7517).\n", "")),
	at("healthz", one("an operation without 400", "documents-400", "operationId: checkHealth\n", malformed, "")),
	at("readyz", one("a response without X-Request-Id", "documents-request-id", "operationId: checkReadiness\n", requestID, "            Cache-Control: {$ref: '#/components/headers/Cache-Control'}\n")),
	at("UserId", one("int64", "no-int64", "\n    UserId:\n", "      type: integer\n", "      type: integer\n      format: int64\n")),
	at("accounts/sessions get", one("a summary that is a noun", "operation-summary-imperative", "operationId: listSessions\n", "summary: List my sessions", "summary: My sessions")),
	at("LoginRequest", one("an open request", "request-closed", "\n    LoginRequest:\n", "      additionalProperties: false\n", "")),
	at("reauthenticate", one("an operation without 401", "documents-401", "operationId: reauthenticate\n", "        '401': {$ref: '#/components/responses/AccessRejected'}\n", "")),
}

var formMutations = []mutation{
	everywhere("a schema that collides with a generated name", "LoginResult", "SignedIn", "LoginResult"),
	everywhere("a parameter with the name of a schema", "parameter Cursor", "CursorQuery", "Cursor"),
	everywhere("a code with another naming scheme", "invalid_link", "link_invalid", "invalid_link"),
	everywhere("a field code with another naming scheme", "invalid_format", "format_invalid", "invalid_format"),
	one("a code missing from the table", "the table of codes", "| 422 | `validation_failed`", ", `link_invalid`", ""),
	one("a code with another status in the table", "link_invalid has the statuses", "| 422 | `validation_failed`", "| 422 |", "| 410 |"),
	one("a code of no operation", "the codes of the operations", "\n    ProblemCode:\n", "        - link_invalid\n", "        - link_invalid\n        - link_missing\n"),
	one("a kind missing from the table", "the table of kinds", "\n    EventKind:\n", "        - deleted\n", "        - deleted\n        - renamed\n"),
	one("a field code missing from the table", "the table of field codes", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [required, name_unknown,"),
	one("an operation without 400", "checkHealth does not document 400", "operationId: checkHealth\n", malformed, ""),
	one("a response without X-Request-Id", "X-Request-Id", "operationId: checkReadiness\n", requestID, "            Cache-Control: {$ref: '#/components/headers/Cache-Control'}\n"),
	one("201 without Location", "inviteUser 201 does not document Location", "operationId: inviteUser\n", "            Location: {$ref: '#/components/headers/Location'}\n", ""),
	one("202 without a body", "requestPasswordReset 202", ofReset, "          content: *accepted\n", ""),
	one("200 without a body", "confirmPasswordReset 200", "operationId: confirmPasswordReset\n", "'204'", "'200'"),
	one("another success", "logout answers 205", "operationId: logout\n", "'204'", "'205'"),
	one("a list without limit", "listSessions answers SessionList", "operationId: listSessions\n", "        - $ref: '#/components/parameters/Limit'\n", ""),
	one("a list without next_cursor", "listSessions answers SessionList", "\n    SessionList:\n", "        next_cursor: {$ref: '#/components/schemas/NextCursor'}\n", ""),
	everywhere("a list with another name", "UserPage", "UserList", "UserPage"),
	one("a field of a user that is missing in the profile", "Profile.nickname", "\n    User:\n", properties, properties+"        nickname: {type: string, description: A name., example: Ada}\n"),
	one("a field with another type for staff members", "AdminUser.email", "\n    AdminUser:\n", "email: {type: string, nullable: true,", "email: {type: string,"),
	one("a write without a row for lost responses", "the table of lost responses", "| `reauthenticate`, `updateProfile` |", "`reauthenticate`, ", ""),
	one("a write with two rows for lost responses", "the table of lost responses", "| `reauthenticate`, `updateProfile` |", "`reauthenticate`", "`reauthenticate`, `login`"),
	one("an open request", "login: the body accepts unknown members", "\n    LoginRequest:\n", "      additionalProperties: false\n", ""),
}

// breaks are changes that break programs written for version 1.
var breaks = []mutation{
	one("an operation removed", "api-removed-without-deprecation", "operationId: getUser\n", "    patch:\n      operationId: updateUser\n", "    put:\n      operationId: updateUser\n"),
	one("an operation renamed", "api-operation-id-removed", ofGetUser, "getUser", "readUser"),
	everywhere("a schema renamed", "api-schema-removed", "SignedIn", "LoggedIn"),
	one("a header removed", "optional-response-header-removed", ofGetUser, "            ETag: {$ref: '#/components/headers/ETag'}\n", ""),
	one("a required header removed", "required-response-header-removed", "\n    RateLimited:\n", "        Retry-After: {$ref: '#/components/headers/Retry-After'}\n", ""),
	one("a parameter removed", "request-parameter-removed", "operationId: listUsers\n", "        - name: q\n", "        - name: query\n"),
	one("a required field of a request", "new-required-request-property", ofRequest, "required: [email, password]\n      properties:\n", "required: [email, password, invitation]\n      properties:\n        invitation: {type: string, maxLength: 100, description: A code., example: abc}\n"),
	one("a field of a request becomes required", "request-property-became-required", ofRequest, "required: [email, password]", "required: [email, password, username]"),
	one("a field of a request removed", "request-property-removed", ofRequest, "        locale: {$ref: '#/components/schemas/Locale'}\n", ""),
	one("a shorter maximum", "request-property-max-length-decreased", "\n    Username:\n", "maxLength: 150", "maxLength: 149"),
	one("a narrower pattern", "request-property-pattern-changed", "\n    Locale:\n", "{2,8}", "{2,3}"),
	one("a lower limit of a page", "request-parameter-max-decreased", "\n    Limit:\n", "maximum: 100", "maximum: 50"),
	one("another default", "request-parameter-default-value-changed", "\n    Limit:\n", "default: 50", "default: 20"),
	one("null no longer accepted", "request-property-became-not-nullable", "\n    UpdateProfileRequest:\n", "          nullable: true\n", ""),
	one("a field of a response removed", "response-required-property-removed", ofSession, "        current: {", "        is_current: {"),
	one("an optional field of a response removed", "response-optional-property-removed", "\n    SignedIn:\n", "        csrf_token: {$ref: '#/components/schemas/CsrfToken'}\n", ""),
	one("a field of a response becomes optional", "response-property-became-optional", ofSession, "token_transport, current]", "token_transport]"),
	one("a field of a response becomes nullable", "response-property-became-nullable", "\n    User:\n", "username: {type: string,", "username: {type: string, nullable: true,"),
	one("a field of a response with another type", "response-property-type-changed", "\n    PasswordSettings:\n", "min_length: {type: integer,", "min_length: {type: string,"),
	one("times with a fraction", "response-property-pattern-changed", ofSession, "[0-9]{2}Z$", "[0-9]{2}(\\.[0-9]+)?Z$"),
	one("times without a pattern", "response-property-pattern-removed", ofSession, "          pattern: ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$\n", ""),
	one("a code removed", "response-property-enum-value-removed", "\n    ProblemCode:\n", "        - link_invalid\n", ""),
	one("a kind removed", "response-property-enum-value-removed", "\n    EventKind:\n", "        - deleted\n", ""),
	one("a field code renamed", "response-property-enum-value-removed", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [missing,"),
	one("a transport removed", "request-property-enum-value-removed", "\n    TokenTransport:\n", ", server_held", ""),
	one("a success with another status", "response-success-status-removed", "operationId: logout\n", "'204'", "'202'"),
	one("an authentication method removed", "api-security-removed", "operationId: reauthenticate\n", "        - accessCookie: []\n          csrfToken: []\n", ""),
	one("a body that becomes required", "request-body-became-required", "operationId: refreshToken\n", "required: false", "required: true"),
}

// additions are changes that the section Compatibility allows without notice.
var additions = []mutation{
	{name: "nothing"},
	one("a new field of a response", "", ofEvent, properties, properties+"        place: {type: string, nullable: true, description: Where., example: Seoul}\n"),
	one("a new required field of a response", "", ofEvent, "required: [id,", "required: [id, place,"),
	one("a new code", "", "\n    ProblemCode:\n", "        - link_invalid\n", "        - link_invalid\n        - token_missing\n"),
	one("a new code of an operation", "", "\n    LinkRejectedProblem:\n", "enum: [validation_failed, link_invalid]", "enum: [validation_failed, link_invalid, token_missing]"),
	one("a new field code", "", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [required, name_unknown,"),
	one("a new kind", "", "\n    EventKind:\n", "        - deleted\n", "        - deleted\n        - renamed\n"),
	one("a new transport", "", "\n    TokenTransport:\n", ", body]", ", body, mtls]"),
	one("a new optional field of a request", "", ofRequest, properties, properties+"        nickname: {type: string, maxLength: 10, description: A name., example: Ada}\n"),
	one("a new optional parameter", "", "operationId: listUsers\n", "        - name: q\n", "        - name: has_password\n          in: query\n          description: Only users with a password.\n          schema: {type: boolean}\n          example: true\n        - name: q\n"),
	one("a new header", "", "operationId: getProfile\n", requestID, requestID+"            ETag: {$ref: '#/components/headers/ETag'}\n"),
	one("a longer maximum", "", "\n    Username:\n", "maxLength: 150", "maxLength: 151"),
	one("another text", "", ofGetUser, "summary: Get a user", "summary: Get one user"),
	one("a new operation", "", "paths:\n", "  /accounts/login:\n", "  /accounts/ping:\n    get:\n      operationId: ping\n      tags: [system]\n      summary: Check the connection\n      security: []\n      responses:\n        '204': {description: Done.}\n  /accounts/login:\n"),
	one("a new error", "", "operationId: deleteUser\n", "        '404'", "        '412': {description: Changed since.}\n        '404'"),
}
