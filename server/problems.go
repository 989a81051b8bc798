package server

import (
	"encoding/json"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
)

// problemKind describes a problem code. The texts are constants, so that no response contains
// submitted data or the error text of a library.
type problemKind struct {
	code          problem.Code
	status        int
	title, detail string // in responses
	cause, remedy string // for developers: when the server sends the code, and what to do about it
	message       message
}

// fieldKind describes a field code.
type fieldKind struct {
	code          api.FieldErrorCode
	detail, cause string
	message       message
}

// message is a sentence for users, in each of the server's languages.
type message struct{ en, ko string }

// languages has the languages of accounts.Locales, each with its name in that language.
var languages = []struct {
	tag, name string
	in        func(message) string
}{
	{"en", "English", func(m message) string { return m.en }},
	{"ko", "한국어", func(m message) string { return m.ko }},
}

// The messages of several codes that users cannot correct by themselves.
var (
	pageFailed = message{"Something went wrong on this page. Reload it and try again.", "페이지에 문제가 생겼습니다. 새로 고친 뒤 다시 시도해 주세요."}
	sessionBad = message{"Your session cannot be continued. Sign in again.", "세션을 계속할 수 없습니다. 다시 로그인해 주세요."}
)

// problemKinds is the only table of the problem codes, in the order of the contract's enum. Problem
// responses, GET /problems and the pages below /problems/ are built from it. A test compares it
// with the contract's examples.
var problemKinds = []problemKind{
	{
		codeRequestMalformed, 400, "Malformed request", "The request body or a parameter cannot be read.",
		"The body is not one JSON document in UTF-8, has a field twice or is nested too deeply. Or a parameter is unknown, occurs twice, is empty or is not valid; `errors` then names all such parameters.",
		"Correct the client. Repeating the same request does not help.",
		pageFailed,
	},
	{
		codeCredentialsMissing, 401, "Credentials missing", "The request has no credential that this operation accepts.",
		"The request has neither the `Authorization` header nor the cookie that the operation accepts. Cookies of another transport do not count.",
		"Refresh the session if there is one. Otherwise ask the user to sign in.",
		message{"You are not signed in. Sign in and try again.", "로그인되어 있지 않습니다. 로그인한 뒤 다시 시도해 주세요."},
	},
	{
		problem.CredentialsInvalid, 401, "Wrong credentials", "The username or the password is wrong, or the account is deactivated or its email address is not verified.",
		"A login was rejected. The answer is the same for an unknown user, a wrong password, a deactivated user and an unverified address, so that it does not reveal which accounts exist.",
		"Ask the user to correct the username and the password. Offer to reset the password or to send the verification mail again.",
		message{"The username or the password is wrong, or the email address is not verified yet.", "사용자 이름 또는 비밀번호가 올바르지 않거나 이메일 주소가 아직 인증되지 않았습니다."},
	},
	{
		problem.AccessInvalid, 401, "Access token not valid", "The access token is not authentic, or was presented through a different transport than its session's.",
		"The signature, the issuer or the form of the access token is wrong, or the token was presented through a different transport than its session's.",
		"Refresh once. If the refresh is rejected too, ask the user to sign in.",
		sessionBad,
	},
	{
		problem.AccessExpired, 401, "Access token expired", "The access token has expired. Refresh it.",
		"More than `expires_in` seconds have passed since the access token was issued.",
		"Call `POST /accounts/refresh_token` and repeat the request with the new token.",
		message{"Your session has to be renewed. Reload the page, or sign in again.", "세션을 갱신해야 합니다. 페이지를 새로 고치거나 다시 로그인해 주세요."},
	},
	{
		problem.RefreshInvalid, 401, "Refresh credential not valid", "The refresh credential is not authentic, or was presented through a different transport than its session's.",
		"The signature, the issuer or the form of the refresh credential is wrong, or it was presented through a different transport than its session's.",
		"Delete the tokens and ask the user to sign in.",
		sessionBad,
	},
	{
		problem.RefreshReused, 401, "Refresh token reused", "This refresh token was replaced some time ago, so it may have been stolen. The session has been revoked. Log in again.",
		"A refresh token was presented long after it had been replaced. The token may have been copied, so the server has revoked the session.",
		"Delete the tokens, tell the user what happened, and ask the user to sign in. Send `Refresh-Attempt` with every refresh if the client may be suspended for long.",
		message{"Your session may have been copied, so it was ended to protect your account. Sign in again and check the recent activity of your account.", "다른 사람이 세션을 복사했을 수 있어 계정을 보호하기 위해 세션을 종료했습니다. 다시 로그인한 뒤 계정의 최근 활동을 확인해 주세요."},
	},
	{
		problem.SessionExpired, 401, "Session expired", "The session has expired. Log in again.",
		"The session was not used for a long time, or has reached its maximum age.",
		"Delete the tokens and ask the user to sign in.",
		message{"Your session has expired. Sign in again.", "세션이 만료되었습니다. 다시 로그인해 주세요."},
	},
	{
		problem.SessionRevoked, 401, "Session revoked", "The session has been revoked. Log in again.",
		"The user logged out, on this device or on another one, or changed the password. Or a staff member or the operator ended the session.",
		"Delete the tokens and ask the user to sign in.",
		message{"You have been signed out. Sign in again.", "로그아웃되었습니다. 다시 로그인해 주세요."},
	},
	{
		codeCSRFFailed, 403, "Cross-site request rejected", "The header X-CSRFToken is missing or does not belong to this session: GET /accounts/session returns the right one. Or the page is on an origin that is not in the server's ACCOUNTS_CORS_ORIGINS.",
		"A write that is authenticated by a cookie has no `X-CSRFToken`, or that of another session. Or the request comes from a foreign origin, or a cookie authenticates a cross-site read that is marked `x-refuse-cross-site`.",
		"Read `csrf_token` from `GET /accounts/session` and repeat the request once. If the page is on another origin than the API, the operator must add that origin to `ACCOUNTS_CORS_ORIGINS`.",
		message{"The server could not confirm that this request comes from you. Reload the page and try again.", "본인이 보낸 요청인지 확인하지 못했습니다. 페이지를 새로 고친 뒤 다시 시도해 주세요."},
	},
	{
		codeTransportUnusable, 403, "Cookies do not work across sites", `This page is on another site than the API, and browsers do not send the session's cookies across sites. Use "token_transport":"body", or put the API behind a reverse proxy on the page's own site.`,
		"A page on another site than the API requests a session in a cookie transport. The browser would not send its cookies back.",
		`Log in with "token_transport":"body", or put the API behind a reverse proxy on the page's own site.`,
		message{"Signing in does not work from this page, because it is on another site.", "이 페이지는 다른 사이트에 속해 있어 로그인할 수 없습니다."},
	},
	{
		problem.RegistrationClosed, 403, "Registration is closed", "Registration is closed. Only staff members and the operator of this service create accounts.",
		"The operator has closed registration. `registration` of `GET /accounts/settings` is then `closed`.",
		"Do not offer registration.",
		message{"You cannot sign up here. Ask the operator of this service for an account.", "이 서비스에서는 직접 가입할 수 없습니다. 서비스 운영자에게 계정을 요청해 주세요."},
	},
	{
		problem.RoleRequired, 403, "Role required", "This operation requires a role that your user does not have.",
		"The user is not a staff member, or the operation changes a staff member or a role and the user is not a superuser.",
		"Do not offer the operation to this user. Read the roles from `GET /accounts/profile`.",
		message{"You do not have permission to do this.", "이 작업을 할 권한이 없습니다."},
	},
	{
		problem.ReauthRequired, 403, "Recent authentication required", "This operation requires a recent authentication. Call POST /accounts/reauthenticate and repeat the request.",
		"The last login or reauthentication of this session is more than ten minutes ago. `recent_authentication_until` of `GET /accounts/session` is the time from which that is so.",
		"Ask the user for the password, call `POST /accounts/reauthenticate`, and repeat the request.",
		message{"Enter your password once more to continue.", "계속하려면 비밀번호를 다시 입력해 주세요."},
	},
	{
		codeResourceNotFound, 404, "Not found", "The path or the resource does not exist, or the resource belongs to another user.",
		"The path does not exist, the resource has been removed, or it belongs to another user.",
		"Update the page, because the resource may have been removed. If the request has never worked, check the path.",
		message{"This does not exist, or you have no access to it.", "존재하지 않거나 접근 권한이 없습니다."},
	},
	{
		codeMethodNotAllowed, 405, "Method not allowed", "This path does not accept this method. The header Allow lists the methods that it accepts.",
		"The path exists, but not with this method.",
		"Use one of the methods in the header `Allow`.",
		pageFailed,
	},
	{
		problem.UsernameTaken, 409, "Username taken", "Another user has this username. Choose another one.",
		"Another user has this username, or one that is compared as equal. `errors` names the field. If the email address is taken too, `errors` also names that field.",
		"Ask the user for another username.",
		message{"Another user has this username. Choose another one.", "이미 사용 중인 사용자 이름입니다. 다른 이름을 정해 주세요."},
	},
	{
		problem.EmailTaken, 409, "Email address taken", "Another user has this email address.",
		"Another user has this address. Only staff members get this code, because it reveals which addresses have an account.",
		"Find the user by `GET /admin/users?email=…`, or ask for another address.",
		message{"Another account has this email address.", "다른 계정에서 사용 중인 이메일 주소입니다."},
	},
	{
		problem.EmailUnverified, 409, "Email address not verified", "The user's email address is not verified. Grant the role after the user has verified it.",
		"A role was to be granted to a user whose address is not verified. A stranger may have registered with that address.",
		"Grant the role after the user has verified the address.",
		message{"The email address is not verified yet. A role can be granted after that.", "이메일 주소가 아직 인증되지 않았습니다. 인증된 뒤에 역할을 부여할 수 있습니다."},
	},
	{
		problem.SuperuserLast, 409, "Last superuser", "This is the last active superuser, and the service needs one. Make another user a superuser first.",
		"The change would leave the service without an active superuser.",
		"Make another user a superuser first.",
		message{"This is the last active superuser. Make another user a superuser first.", "마지막 활성 최고 관리자입니다. 먼저 다른 사용자를 최고 관리자로 지정해 주세요."},
	},
	{
		problem.UserUnreachable, 409, "User cannot be reached", "The user is deactivated or has no email address. Activate the user or enter an address first.",
		"A mail was to be sent to a user who is deactivated or has no address.",
		"Activate the user or enter an address first.",
		message{"No mail can be sent to this user: the account is deactivated or has no email address.", "이 사용자에게는 메일을 보낼 수 없습니다. 계정이 비활성화되었거나 이메일 주소가 없습니다."},
	},
	{
		problem.PreconditionFailed, 412, "Precondition failed", "The user has been changed since it was read. Read it again, and decide whether to repeat the change.",
		"The user's version is not the one in `If-Match`: another change came first.",
		"Read the user again, show the difference, and repeat the change with the new `ETag` if it is still needed.",
		message{"This has been changed in the meantime. Check the present state and try again.", "그사이 내용이 변경되었습니다. 현재 내용을 확인한 뒤 다시 시도해 주세요."},
	},
	{
		codeBodyTooLarge, 413, "Body too large", "The request body is longer than this operation allows. Send a shorter one.",
		"The body has more bytes than the longest valid body of this operation. `maximum` in `errors` is the limit in bytes.",
		"Check the lengths of the values before sending them. The maximum lengths are in the contract.",
		message{"This is too much text. Shorten it and try again.", "입력한 내용이 너무 깁니다. 줄여서 다시 시도해 주세요."},
	},
	{
		codeMediaTypeUnsupported, 415, "Unsupported media type", `Send the body as "Content-Type: application/json", in UTF-8 and not compressed.`,
		"The header `Content-Type` is missing or is not `application/json`, its charset is not UTF-8, or the body is compressed.",
		"Send the body as `Content-Type: application/json`, in UTF-8 and not compressed.",
		pageFailed,
	},
	{
		codeValidationFailed, 422, "Validation failed", "A field of the request is missing, unknown or not valid. The list errors names all fields at fault.",
		"The body is JSON, but a field is missing, unknown or not valid. `errors` names all fields at fault, with the bounds that they violate.",
		"Show each error next to its field: `pointer` is the field, and `code` is the reason.",
		message{"Some of the fields are not valid. Correct them and try again.", "올바르지 않은 항목이 있습니다. 수정한 뒤 다시 시도해 주세요."},
	},
	{
		problem.LinkInvalid, 422, "Link not valid", "The link is unknown, has been used, has been replaced by a newer one, or has expired. Request a new one.",
		"The token of the link is unknown, has been used, has been replaced by a newer one, or has expired.",
		"Offer to send a new mail.",
		message{"This link is no longer valid. Request a new one.", "더 이상 사용할 수 없는 링크입니다. 새 링크를 요청해 주세요."},
	},
	{
		problem.RateLimited, 429, "Too many requests", "There were too many of these requests. Try again after the seconds in Retry-After.",
		"A rate limit is exceeded: too many wrong passwords for this name or from this client, or too many requests from this client or user.",
		"Wait for the seconds in `Retry-After` and repeat the request. Show the user how long that is.",
		message{"Too many attempts.", "시도 횟수가 너무 많습니다."},
	},
	{
		codeServerFailed, 500, "Internal server error", "The server failed. Its log has the cause under the request id.",
		"The server could not process the request because of an internal error.",
		"Show `request_id`, so that the operator can find the cause in the log. Repeat a read later. For a write, see the section “After a lost answer” of the contract.",
		message{"Something went wrong on the server. Try again later.", "서버에 문제가 발생했습니다. 잠시 후 다시 시도해 주세요."},
	},
	{
		codeServiceUnavailable, 503, "Service unavailable", "The service cannot answer at the moment. Try again after the seconds in Retry-After.",
		"The server is overloaded, shutting down, or cannot reach its database.",
		"Wait for the seconds in `Retry-After` and repeat the request.",
		message{"The server is busy. Try again in a moment.", "서버가 혼잡합니다. 잠시 후 다시 시도해 주세요."},
	},
}

// fieldKinds is the only table of the field codes, in the order of the contract's enum. The causes
// are those of the contract; a test compares them.
var fieldKinds = []fieldKind{
	{
		api.FieldErrorCodeRequired, "This field is required.", "The field is missing, or empty where it must not be.",
		message{"Fill in this field.", "이 항목을 입력해 주세요."},
	},
	{api.FieldErrorCodeFieldUnknown, "This operation has no field of this name.", "The operation has no field of this name.", pageFailed},
	{api.FieldErrorCodeFieldDuplicate, "This field occurs twice.", "The field occurs twice.", pageFailed},
	{api.FieldErrorCodeParameterUnknown, "This operation has no parameter of this name.", "The operation has no parameter of this name.", pageFailed},
	{api.FieldErrorCodeParameterDuplicate, "This parameter occurs twice.", "The parameter occurs twice.", pageFailed},
	{
		api.FieldErrorCodeTooShort, "This is too short.", "The text has fewer characters than `minimum`.",
		message{"This is too short.", "너무 짧습니다."},
	},
	{
		api.FieldErrorCodeTooLong, "This is too long.", "The text has more characters than `maximum`, or the body more bytes.",
		message{"This is too long.", "너무 깁니다."},
	},
	{
		api.FieldErrorCodeTooFew, "There are too few items.", "The list has fewer items than `minimum`.",
		message{"There are too few items.", "개수가 너무 적습니다."},
	},
	{
		api.FieldErrorCodeTooMany, "There are too many items.", "The list has more items than `maximum`.",
		message{"There are too many items.", "개수가 너무 많습니다."},
	},
	{
		api.FieldErrorCodeOutOfRange, "This number is out of range.", "The number is below `minimum` or above `maximum`.",
		message{"This number is too small or too large.", "숫자가 너무 작거나 너무 큽니다."},
	},
	{
		api.FieldErrorCodeFormatInvalid, "This does not have the right form.", "The text does not have the form that the field requires.",
		message{"This does not have the right form.", "형식이 올바르지 않습니다."},
	},
	{
		api.FieldErrorCodeTypeInvalid, "This is not of the right type.", "The value does not have the JSON type that the field requires.",
		message{"This value cannot be used.", "사용할 수 없는 값입니다."},
	},
	{
		api.FieldErrorCodeValueInvalid, "This is not one of the allowed values.", "The value is not one of the allowed values.",
		message{"This is not one of the allowed values.", "선택할 수 없는 값입니다."},
	},
	{
		api.FieldErrorCodeTaken, "Another user has this value.", "Another user has this value.",
		message{"This is already in use. Choose another one.", "다른 사용자가 사용 중입니다. 다른 값을 정해 주세요."},
	},
	{
		api.FieldErrorCodePasswordCommon, "This password is easy to guess: it is common, a pattern, or made from the account's own data or the name of the service. Choose another one.", "The password is easy to guess.",
		message{"This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.", "추측하기 쉬운 비밀번호입니다. 흔히 쓰이거나 규칙적이거나 본인 정보로 만든 비밀번호는 사용할 수 없습니다. 다른 비밀번호를 정해 주세요."},
	},
	{
		api.FieldErrorCodePasswordBreached, "This password is known from a data breach. Choose another one.", "The password is in a list of breached passwords.",
		message{"This password is known from a data breach of another website, so attackers may try it. Choose another one.", "다른 웹사이트의 정보 유출로 알려진 비밀번호라 공격에 쓰일 수 있습니다. 다른 비밀번호를 정해 주세요."},
	},
	{
		api.FieldErrorCodePasswordWrong, "This is not the right password.", "The password is not the user's password.",
		message{"This is not the right password.", "비밀번호가 올바르지 않습니다."},
	},
}

// kinds are the problem kinds by code.
var kinds = indexed(problemKinds, func(k problemKind) problem.Code { return k.code })

// fieldsByCode are the field codes, by code.
var fieldsByCode = indexed(fieldKinds, func(k fieldKind) api.FieldErrorCode { return k.code })

func indexed[K comparable, V any](list []V, key func(V) K) map[K]V {
	index := make(map[K]V, len(list))
	for _, each := range list {
		index[key(each)] = each
	}
	return index
}

// problemCatalogs renders the responses of GET /problems, by language.
func problemCatalogs() (map[string]cacheable, error) {
	catalogs := map[string]cacheable{}
	for _, language := range languages {
		body, err := json.Marshal(problemCatalog(language.tag, language.in))
		if err != nil {
			return nil, err
		}
		catalogs[language.tag] = newCacheable("application/json", body)
	}
	return catalogs, nil
}

func problemCatalog(tag string, in func(message) string) api.ProblemCatalog {
	catalog := api.ProblemCatalog{Locale: tag}
	for _, k := range problemKinds {
		catalog.Problems = append(catalog.Problems, api.ProblemDescription{
			Code: api.ProblemCode(k.code), Status: k.status, Title: k.title, Cause: k.cause, Remedy: k.remedy, Message: in(k.message),
		})
	}
	for _, k := range fieldKinds {
		catalog.Fields = append(catalog.Fields, api.FieldErrorDescription{Code: k.code, Cause: k.cause, Message: in(k.message)})
	}
	return catalog
}
