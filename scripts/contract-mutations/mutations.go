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

// changeOnce returns a mutation with one edit.
func changeOnce(name, want, after, from, to string) mutation {
	return mutation{name: name, want: want, edits: []edit{{after: after, from: from, to: to}}}
}

// changeAll returns a mutation that replaces all occurrences.
func changeAll(name, want, from, to string) mutation {
	return mutation{name: name, want: want, edits: []edit{{from: from, to: to, all: true}}}
}

// withPath adds to a mutation the place that spectral must report.
func withPath(path string, m mutation) mutation {
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
	withPath("schemas Session", changeOnce("a closed response", "answer-open", ofSession, object, object+"      additionalProperties: false\n")),
	withPath("EventActor", changeOnce("an enum without the mark", "answer-enum-extensible", "\n    EventActor:\n", extensible, "")),
	withPath("UserRole", changeOnce("an empty string in an enum", "no-empty-enum-value", "\n    UserRole:\n", "[none,", "['', none,")),
	withPath("ProfileExport", changeOnce("a time with a fraction", "answer-whole-seconds", "\n    ProfileExport:\n", "[0-9]{2}Z$", "[0-9]{2}(\\.[0-9]+)?Z$")),
	withPath("Reauthenticated", changeOnce("a time without a pattern", "answer-whole-seconds", "\n    Reauthenticated:\n", properties, properties+"        until: {type: string, format: date-time}\n")),
	withPath("SessionList", changeOnce("a list without next_cursor", "list-has-cursor", "\n    SessionList:\n", "        next_cursor: {$ref: '#/components/schemas/NextCursor'}\n", "")),
	withPath("UserList", changeOnce("a list with an optional next_cursor", "list-has-cursor", "\n    UserList:\n", "[users, next_cursor]", "[users]")),
	withPath("password/reset", changeOnce("202 without a body", "accepted-with-body", ofReset, "          content: *accepted\n", "")),
	withPath("SettingsResult", changeOnce("a field without a description", "member-description", "\n    SettingsResult:\n", properties, properties+"        more: {type: boolean, example: true}\n")),
	withPath("Jwk", changeOnce("a field without an example", "member-example", "\n    Jwk:\n", ", example: OKP}", "}")),
	withPath("Cursor", changeOnce("a schema without an example", "member-example", "\n    Cursor:\n", "      example:", "      x-example:")),
	withPath("JwkSet", changeOnce("a schema without a description", "schema-description", "\n    JwkSet:\n", "      description: A set of public keys (RFC 7517).\n", "")),
	withPath("healthz", changeOnce("an operation without 400", "documents-400", "operationId: checkHealth\n", malformed, "")),
	withPath("readyz", changeOnce("a response without X-Request-Id", "documents-request-id", "operationId: checkReadiness\n", requestID, "            Cache-Control: {$ref: '#/components/headers/Cache-Control'}\n")),
	withPath("UserId", changeOnce("int64", "no-int64", "\n    UserId:\n", "      type: integer\n", "      type: integer\n      format: int64\n")),
	withPath("accounts/sessions get", changeOnce("a summary that is a noun", "operation-summary-imperative", "operationId: listSessions\n", "summary: List my sessions", "summary: My sessions")),
	withPath("LoginRequest", changeOnce("an open request", "request-closed", "\n    LoginRequest:\n", "      additionalProperties: false\n", "")),
	withPath("reauthenticate", changeOnce("an operation without 401", "documents-401", "operationId: reauthenticate\n", "        '401': {$ref: '#/components/responses/AccessRejected'}\n", "")),
}

var formMutations = []mutation{
	changeAll("a schema that collides with a generated name", "LoginResult", "SignedIn", "LoginResult"),
	changeAll("a parameter with the name of a schema", "parameter Cursor", "CursorQuery", "Cursor"),
	changeAll("a code with another naming scheme", "invalid_link", "link_invalid", "invalid_link"),
	changeAll("a field code with another naming scheme", "invalid_format", "format_invalid", "invalid_format"),
	changeOnce("a code missing from the table", "the table of codes", "| 422 | `validation_failed`", ", `link_invalid`", ""),
	changeOnce("a code with another status in the table", "link_invalid has the statuses", "| 422 | `validation_failed`", "| 422 |", "| 410 |"),
	changeOnce("a code of no operation", "the codes of the operations", "\n    ProblemCode:\n", "        - link_invalid\n", "        - link_invalid\n        - link_missing\n"),
	changeOnce("a kind missing from the table", "the table of kinds", "\n    EventKind:\n", "        - deleted\n", "        - deleted\n        - renamed\n"),
	changeOnce("a field code missing from the table", "the table of field codes", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [required, name_unknown,"),
	changeOnce("an operation without 400", "checkHealth does not document 400", "operationId: checkHealth\n", malformed, ""),
	changeOnce("a response without X-Request-Id", "X-Request-Id", "operationId: checkReadiness\n", requestID, "            Cache-Control: {$ref: '#/components/headers/Cache-Control'}\n"),
	changeOnce("201 without Location", "inviteUser 201 does not document Location", "operationId: inviteUser\n", "            Location: {$ref: '#/components/headers/Location'}\n", ""),
	changeOnce("202 without a body", "requestPasswordReset 202", ofReset, "          content: *accepted\n", ""),
	changeOnce("200 without a body", "confirmPasswordReset 200", "operationId: confirmPasswordReset\n", "'204'", "'200'"),
	changeOnce("another success", "logout answers 205", "operationId: logout\n", "'204'", "'205'"),
	changeOnce("a list without limit", "listSessions answers SessionList", "operationId: listSessions\n", "        - $ref: '#/components/parameters/Limit'\n", ""),
	changeOnce("a list without next_cursor", "listSessions answers SessionList", "\n    SessionList:\n", "        next_cursor: {$ref: '#/components/schemas/NextCursor'}\n", ""),
	changeAll("a list with another name", "UserPage", "UserList", "UserPage"),
	changeOnce("a field of a user that is missing in the profile", "Profile.nickname", "\n    User:\n", properties, properties+"        nickname: {type: string, description: A name., example: Ada}\n"),
	changeOnce("a field with another type for staff members", "AdminUser.email", "\n    AdminUser:\n", "email: {type: string, nullable: true,", "email: {type: string,"),
	changeOnce("a write without a row for lost responses", "the table of lost responses", "| `reauthenticate`, `updateProfile` |", "`reauthenticate`, ", ""),
	changeOnce("a write with two rows for lost responses", "the table of lost responses", "| `reauthenticate`, `updateProfile` |", "`reauthenticate`", "`reauthenticate`, `login`"),
	changeOnce("an open request", "login: the body accepts unknown members", "\n    LoginRequest:\n", "      additionalProperties: false\n", ""),
}

// breaks are changes that break programs written for version 1.
var breaks = []mutation{
	changeOnce("an operation removed", "api-removed-without-deprecation", "operationId: getUser\n", "    patch:\n      operationId: updateUser\n", "    put:\n      operationId: updateUser\n"),
	changeOnce("an operation renamed", "api-operation-id-removed", ofGetUser, "getUser", "readUser"),
	changeAll("a schema renamed", "api-schema-removed", "SignedIn", "LoggedIn"),
	changeOnce("a header removed", "optional-response-header-removed", ofGetUser, "            ETag: {$ref: '#/components/headers/ETag'}\n", ""),
	changeOnce("a required header removed", "required-response-header-removed", "\n    RateLimited:\n", "        Retry-After: {$ref: '#/components/headers/Retry-After'}\n", ""),
	changeOnce("a parameter removed", "request-parameter-removed", "operationId: listUsers\n", "        - name: q\n", "        - name: query\n"),
	changeOnce("a required field of a request", "new-required-request-property", ofRequest, "required: [email, password]\n      properties:\n", "required: [email, password, invitation]\n      properties:\n        invitation: {type: string, maxLength: 100, description: A code., example: abc}\n"),
	changeOnce("a field of a request becomes required", "request-property-became-required", ofRequest, "required: [email, password]", "required: [email, password, username]"),
	changeOnce("a field of a request removed", "request-property-removed", ofRequest, "        locale: {$ref: '#/components/schemas/Locale'}\n", ""),
	changeOnce("a shorter maximum", "request-property-max-length-decreased", "\n    Username:\n", "maxLength: 150", "maxLength: 149"),
	changeOnce("a narrower pattern", "request-property-pattern-changed", "\n    Locale:\n", "{2,8}", "{2,3}"),
	changeOnce("a lower limit of a page", "request-parameter-max-decreased", "\n    Limit:\n", "maximum: 100", "maximum: 50"),
	changeOnce("another default", "request-parameter-default-value-changed", "\n    Limit:\n", "default: 50", "default: 20"),
	changeOnce("null no longer accepted", "request-property-became-not-nullable", "\n    UpdateProfileRequest:\n", "          nullable: true\n", ""),
	changeOnce("a field of a response removed", "response-required-property-removed", ofSession, "        current: {", "        is_current: {"),
	changeOnce("an optional field of a response removed", "response-optional-property-removed", "\n    SignedIn:\n", "        csrf_token: {$ref: '#/components/schemas/CsrfToken'}\n", ""),
	changeOnce("a field of a response becomes optional", "response-property-became-optional", ofSession, "token_transport, current]", "token_transport]"),
	changeOnce("a field of a response becomes nullable", "response-property-became-nullable", "\n    User:\n", "username: {type: string,", "username: {type: string, nullable: true,"),
	changeOnce("a field of a response with another type", "response-property-type-changed", "\n    PasswordSettings:\n", "min_length: {type: integer,", "min_length: {type: string,"),
	changeOnce("times with a fraction", "response-property-pattern-changed", ofSession, "[0-9]{2}Z$", "[0-9]{2}(\\.[0-9]+)?Z$"),
	changeOnce("times without a pattern", "response-property-pattern-removed", ofSession, "          pattern: ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$\n", ""),
	changeOnce("a code removed", "response-property-enum-value-removed", "\n    ProblemCode:\n", "        - link_invalid\n", ""),
	changeOnce("a kind removed", "response-property-enum-value-removed", "\n    EventKind:\n", "        - deleted\n", ""),
	changeOnce("a field code renamed", "response-property-enum-value-removed", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [missing,"),
	changeOnce("a transport removed", "request-property-enum-value-removed", "\n    TokenTransport:\n", ", server_held", ""),
	changeOnce("a success with another status", "response-success-status-removed", "operationId: logout\n", "'204'", "'202'"),
	changeOnce("an authentication method removed", "api-security-removed", "operationId: reauthenticate\n", "        - accessCookie: []\n          csrfToken: []\n", ""),
	changeOnce("a body that becomes required", "request-body-became-required", "operationId: refreshToken\n", "required: false", "required: true"),
}

// additions are changes that the section Compatibility allows without notice.
var additions = []mutation{
	{name: "nothing"},
	changeOnce("a new field of a response", "", ofEvent, properties, properties+"        place: {type: string, nullable: true, description: Where., example: Seoul}\n"),
	changeOnce("a new required field of a response", "", ofEvent, "required: [id,", "required: [id, place,"),
	changeOnce("a new code", "", "\n    ProblemCode:\n", "        - link_invalid\n", "        - link_invalid\n        - token_missing\n"),
	changeOnce("a new code of an operation", "", "\n    LinkRejectedProblem:\n", "enum: [validation_failed, link_invalid]", "enum: [validation_failed, link_invalid, token_missing]"),
	changeOnce("a new field code", "", "\n    FieldErrorCode:\n", "enum: [required,", "enum: [required, name_unknown,"),
	changeOnce("a new kind", "", "\n    EventKind:\n", "        - deleted\n", "        - deleted\n        - renamed\n"),
	changeOnce("a new transport", "", "\n    TokenTransport:\n", ", body]", ", body, mtls]"),
	changeOnce("a new optional field of a request", "", ofRequest, properties, properties+"        nickname: {type: string, maxLength: 10, description: A name., example: Ada}\n"),
	changeOnce("a new optional parameter", "", "operationId: listUsers\n", "        - name: q\n", "        - name: has_password\n          in: query\n          description: Only users with a password.\n          schema: {type: boolean}\n          example: true\n        - name: q\n"),
	changeOnce("a new header", "", "operationId: getProfile\n", requestID, requestID+"            ETag: {$ref: '#/components/headers/ETag'}\n"),
	changeOnce("a longer maximum", "", "\n    Username:\n", "maxLength: 150", "maxLength: 151"),
	changeOnce("another text", "", ofGetUser, "summary: Get a user", "summary: Get one user"),
	changeOnce("a new operation", "", "paths:\n", "  /accounts/login:\n", "  /accounts/ping:\n    get:\n      operationId: ping\n      tags: [system]\n      summary: Check the connection\n      security: []\n      responses:\n        '204': {description: Done.}\n  /accounts/login:\n"),
	changeOnce("a new error", "", "operationId: deleteUser\n", "        '404'", "        '412': {description: Changed since.}\n        '404'"),
}
