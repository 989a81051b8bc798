package problem

// Kind describes a problem code. The texts are constants, so that no response contains submitted
// data or the error text of a library. In Cause and Remedy, text between backticks is code.
type Kind struct {
	Code          Code
	Status        int
	Title, Detail string // in responses
	Cause, Remedy string // for developers: when the server sends the code, and what to do about it
	Message       Message
	Operator      string // the sentence that accountsd prints, if the operator can do more than a client
}

// Message is a sentence for users, in each of the server's languages.
type Message struct{ English, Korean string }

// The messages of several codes that users cannot correct by themselves.
var (
	pageFailed = Message{"Something went wrong on this page. Reload it and try again.", "페이지에 문제가 생겼습니다. 새로 고친 뒤 다시 시도해 주세요."}
	sessionBad = Message{"Your session cannot be continued. Sign in again.", "세션을 계속할 수 없습니다. 다시 로그인해 주세요."}
)

// Kinds is the only table of the problem codes, in the order of the contract's enum. Responses, GET
// /problems, the pages below /problems/, the guide to errors and the messages of accountsd are
// built from it. Tests compare it with the contract, with the pages and with token/remote.
var Kinds = []Kind{
	{
		Code: RequestMalformed, Status: 400, Title: "Malformed request",
		Detail:  "The request body or a parameter cannot be read.",
		Cause:   "The body is not one JSON document in UTF-8, has a field twice or is nested too deeply. Or a parameter is unknown, occurs twice, is empty or is not valid; `errors` then names all such parameters.",
		Remedy:  "Correct the client. Repeating the same request does not help.",
		Message: pageFailed,
	},
	{
		Code: CredentialsMissing, Status: 401, Title: "Credentials missing",
		Detail:  "The request has no credential that this operation accepts.",
		Cause:   "The request has none of the credentials that the operation accepts: an access token in the header `Authorization`, a token in a cookie, or, for refresh and logout, `refresh_token` in the body.",
		Remedy:  "Refresh the session if there is one. Otherwise ask the user to sign in.",
		Message: Message{"You are not signed in. Sign in and try again.", "로그인되어 있지 않습니다. 로그인한 뒤 다시 시도해 주세요."},
	},
	{
		Code: CredentialsInvalid, Status: 401, Title: "Wrong credentials",
		Detail:  "The username or the password is wrong, or the account is deactivated or its email address is not verified.",
		Cause:   "A login was rejected. The response is the same for an unknown user, a wrong password, a deactivated user and an unverified address, so that it does not reveal which accounts exist.",
		Remedy:  "Ask the user to correct the username and the password. Offer to reset the password or to send the verification mail again.",
		Message: Message{"The username or the password is wrong, or the email address is not verified yet.", "사용자 이름 또는 비밀번호가 올바르지 않거나 이메일 주소가 아직 인증되지 않았습니다."},
	},
	{
		Code: AccessInvalid, Status: 401, Title: "Access token not valid",
		Detail:  "The access token is not authentic, or was presented through a different transport than its session's.",
		Cause:   "The signature, the issuer or the form of the access token is wrong, or the token was presented through a different transport than its session's.",
		Remedy:  "Refresh once. If the refresh is rejected too, ask the user to sign in.",
		Message: sessionBad,
	},
	{
		Code: AccessExpired, Status: 401, Title: "Access token expired",
		Detail:  "The access token has expired. Refresh it.",
		Cause:   "More than `expires_in` seconds have passed since the access token was issued.",
		Remedy:  "Call `POST /accounts/refresh_token` and repeat the request with the new token.",
		Message: Message{"Your session has to be renewed. Reload the page, or sign in again.", "세션을 갱신해야 합니다. 페이지를 새로 고치거나 다시 로그인해 주세요."},
	},
	{
		Code: RefreshInvalid, Status: 401, Title: "Refresh credential not valid",
		Detail:  "The refresh credential is not authentic, or was presented through a different transport than its session's.",
		Cause:   "The signature, the issuer or the form of the refresh credential is wrong, or it was presented through a different transport than its session's.",
		Remedy:  "Delete the tokens and ask the user to sign in.",
		Message: sessionBad,
	},
	{
		Code: RefreshReused, Status: 401, Title: "Refresh token reused",
		Detail:  "This refresh token was replaced some time ago, so it may have been stolen. The session has been revoked. Log in again.",
		Cause:   "A refresh token was presented more than `ACCOUNTS_ROTATION_INTERVAL` after it had been replaced. The token may have been copied, so the server has revoked the session.",
		Remedy:  "Delete the tokens, tell the user what happened, and ask the user to sign in. Send `Refresh-Attempt` with every refresh if the client may be suspended for long.",
		Message: Message{"Your session may have been copied, so it was ended to protect your account. Sign in again and check the recent activity of your account.", "다른 사람이 세션을 복사했을 수 있어 계정을 보호하기 위해 세션을 종료했습니다. 다시 로그인한 뒤 계정의 최근 활동을 확인해 주세요."},
	},
	{
		Code: SessionExpired, Status: 401, Title: "Session expired",
		Detail:  "The session has expired. Log in again.",
		Cause:   "The session was not used for a long time, or has reached its maximum age.",
		Remedy:  "Delete the tokens and ask the user to sign in.",
		Message: Message{"Your session has expired. Sign in again.", "세션이 만료되었습니다. 다시 로그인해 주세요."},
	},
	{
		Code: SessionRevoked, Status: 401, Title: "Session revoked",
		Detail:  "The session has been revoked. Log in again.",
		Cause:   "The session was ended by a logout on this or another device, a new password, a staff member, the operator, or a reused refresh token. Or the user logged in on so many devices that the oldest session was revoked.",
		Remedy:  "Delete the tokens and ask the user to sign in.",
		Message: Message{"You have been signed out. Sign in again.", "로그아웃되었습니다. 다시 로그인해 주세요."},
	},
	{
		Code: CSRFFailed, Status: 403, Title: "Cross-site request rejected",
		Detail:  "The header X-CSRFToken is missing or does not belong to this session: GET /accounts/session returns the right one. Or the page is on an origin that is not in the server's ACCOUNTS_CORS_ORIGINS.",
		Cause:   "A write that is authenticated by a cookie has no `X-CSRFToken`, or that of another session. Or the request comes from a foreign origin, or a cookie authenticates a cross-site read that is marked `x-refuse-cross-site`.",
		Remedy:  "Read `csrf_token` from `GET /accounts/session` and repeat the request once. If the page is on another origin than the API, the operator must add that origin to `ACCOUNTS_CORS_ORIGINS`.",
		Message: Message{"The server could not confirm that this request comes from you. Reload the page and try again.", "본인이 보낸 요청인지 확인하지 못했습니다. 페이지를 새로 고친 뒤 다시 시도해 주세요."},
	},
	{
		Code: TransportUnusable, Status: 403, Title: "Cookies do not work across sites",
		Detail:  `This page is on another site than the API, and browsers do not send the session's cookies across sites. Use "token_transport":"body", or put the API behind a reverse proxy on the page's own site.`,
		Cause:   "A page on another site than the API requests a session in a cookie transport. The browser would not send its cookies back.",
		Remedy:  `Log in with "token_transport":"body", or put the API behind a reverse proxy on the page's own site.`,
		Message: Message{"Signing in does not work from this page, because it is on another site.", "이 페이지는 다른 사이트에 속해 있어 로그인할 수 없습니다."},
	},
	{
		Code: RegistrationClosed, Status: 403, Title: "Registration is closed",
		Detail:  "Registration is closed. Only staff members and the operator of this service create accounts.",
		Cause:   "The operator has closed registration. `registration` of `GET /accounts/settings` is then `closed`.",
		Remedy:  "Do not offer registration.",
		Message: Message{"You cannot sign up here. Ask the operator of this service for an account.", "이 서비스에서는 직접 가입할 수 없습니다. 서비스 운영자에게 계정을 요청해 주세요."},
	},
	{
		Code: RoleRequired, Status: 403, Title: "Role required",
		Detail:  "This operation requires a role that your user does not have.",
		Cause:   "The user is not a staff member, or the operation changes a staff member or a role and the user is not a superuser.",
		Remedy:  "Do not offer the operation to this user. Read the roles from `GET /accounts/profile`.",
		Message: Message{"You do not have permission to do this.", "이 작업을 할 권한이 없습니다."},
	},
	{
		Code: ReauthRequired, Status: 403, Title: "Recent authentication required",
		Detail:  "This operation requires a recent authentication. Call POST /accounts/reauthenticate and repeat the request.",
		Cause:   "The last login or reauthentication of this session is more than ten minutes ago. `GET /accounts/session` returns the end of the ten minutes as `recent_authentication_until`.",
		Remedy:  "Ask the user for the password, call `POST /accounts/reauthenticate`, and repeat the request.",
		Message: Message{"Enter your password once more to continue.", "계속하려면 비밀번호를 다시 입력해 주세요."},
	},
	{
		Code: ResourceNotFound, Status: 404, Title: "Not found",
		Detail:   "The path or the resource does not exist, or the resource belongs to another user.",
		Cause:    "The path does not exist, the resource has been removed, or it belongs to another user.",
		Remedy:   "Update the page, because the resource may have been removed. If the request has never worked, check the path.",
		Message:  Message{"This does not exist, or you have no access to it.", "존재하지 않거나 접근 권한이 없습니다."},
		Operator: "there is no user with this username",
	},
	{
		Code: MethodNotAllowed, Status: 405, Title: "Method not allowed",
		Detail:  "This path does not accept this method. The header Allow lists the methods that it accepts.",
		Cause:   "The path exists, but not with this method.",
		Remedy:  "Use one of the methods in the header `Allow`.",
		Message: pageFailed,
	},
	{
		Code: UsernameTaken, Status: 409, Title: "Username taken",
		Detail:   "Another user has this username. Choose another one.",
		Cause:    "Another user has this username, or one that is compared as equal. `errors` names the field. If the email address is taken too, `errors` also names that field.",
		Remedy:   "Ask the user for another username.",
		Message:  Message{"Another user has this username. Choose another one.", "이미 사용 중인 사용자 이름입니다. 다른 이름을 정해 주세요."},
		Operator: "this username is taken: choose another one",
	},
	{
		Code: EmailTaken, Status: 409, Title: "Email address taken",
		Detail:   "Another user has this email address.",
		Cause:    "Another user has this address. Only staff members get this code, because it reveals which addresses have an account.",
		Remedy:   "Find the user by `GET /admin/users?email=…`, or ask for another address.",
		Message:  Message{"Another account has this email address.", "다른 계정에서 사용 중인 이메일 주소입니다."},
		Operator: "this e-mail address is taken: choose another one",
	},
	{
		Code: EmailUnverified, Status: 409, Title: "Email address not verified",
		Detail:   "The user's email address is not verified. Grant the role after the user has verified it.",
		Cause:    "A role was to be granted to a user whose address is not verified. A stranger may have registered with that address.",
		Remedy:   "Grant the role after the user has verified the address.",
		Operator: "the e-mail address of this user is not verified, so a stranger may have registered with it: run \"accountsd user verify\" first if it is the user's own",
		Message:  Message{"The email address is not verified yet. A role can be granted after that.", "이메일 주소가 아직 인증되지 않았습니다. 인증된 뒤에 역할을 부여할 수 있습니다."},
	},
	{
		Code: SuperuserLast, Status: 409, Title: "Last superuser",
		Detail:   "This is the last active superuser, and the service needs one. Make another user a superuser first.",
		Cause:    "The change would leave the service without an active superuser.",
		Remedy:   "Make another user a superuser first.",
		Message:  Message{"This is the last active superuser. Make another user a superuser first.", "마지막 활성 최고 관리자입니다. 먼저 다른 사용자를 최고 관리자로 지정해 주세요."},
		Operator: "this is the last active superuser: create another one first",
	},
	{
		Code: UserUnreachable, Status: 409, Title: "User cannot be reached",
		Detail:   "The user is deactivated or has no email address. Activate the user or enter an address first.",
		Cause:    "A mail was to be sent to a user who is deactivated or has no address.",
		Remedy:   "Activate the user or enter an address first.",
		Operator: "this user has no e-mail address: set one with \"accountsd user set-email\"",
		Message:  Message{"No mail can be sent to this user: the account is deactivated or has no email address.", "이 사용자에게는 메일을 보낼 수 없습니다. 계정이 비활성화되었거나 이메일 주소가 없습니다."},
	},
	{
		Code: PreconditionFailed, Status: 412, Title: "Precondition failed",
		Detail:  "The user has been changed since it was read. Read it again, and decide whether to repeat the change.",
		Cause:   "The user's version is not the one in `If-Match`: another change came first.",
		Remedy:  "Read the user again, show the difference, and repeat the change with the new `ETag` if it is still needed.",
		Message: Message{"This has been changed in the meantime. Check the present state and try again.", "그사이 내용이 변경되었습니다. 현재 내용을 확인한 뒤 다시 시도해 주세요."},
	},
	{
		Code: BodyTooLarge, Status: 413, Title: "Body too large",
		Detail:  "The request body is longer than this operation allows. Send a shorter one.",
		Cause:   "The body has more bytes than the longest valid body of this operation. `maximum` in `errors` is the limit in bytes.",
		Remedy:  "Check the lengths of the values before sending them. The maximum lengths are in the contract.",
		Message: Message{"This is too much text. Shorten it and try again.", "입력한 내용이 너무 깁니다. 줄여서 다시 시도해 주세요."},
	},
	{
		Code: MediaTypeUnsupported, Status: 415, Title: "Unsupported media type",
		Detail:  `Send the body as "Content-Type: application/json", in UTF-8 and not compressed.`,
		Cause:   "The header `Content-Type` is missing or is not `application/json`, its charset is not UTF-8, or the body is compressed.",
		Remedy:  "Send the body as `Content-Type: application/json`, in UTF-8 and not compressed.",
		Message: pageFailed,
	},
	{
		Code: ValidationFailed, Status: 422, Title: "Validation failed",
		Detail:  "A field of the request is missing, unknown or not valid. The list errors names all fields at fault.",
		Cause:   "The body is JSON, but a field is missing, unknown or not valid. `errors` names all fields at fault, with the bounds that they violate.",
		Remedy:  "Show each error next to its field: `pointer` is the field, and `code` is the reason.",
		Message: Message{"Some of the fields are not valid. Correct them and try again.", "올바르지 않은 항목이 있습니다. 수정한 뒤 다시 시도해 주세요."},
	},
	{
		Code: LinkInvalid, Status: 422, Title: "Link not valid",
		Detail:  "The link is unknown, has been used, has been replaced by a newer one, or has expired. Request a new one.",
		Cause:   "The token of the link is unknown, has been used, has been replaced by a newer one, or has expired; or its user is inactive or deleted, or another user has the address by now.",
		Remedy:  "Offer to send a new mail.",
		Message: Message{"This link is no longer valid. Request a new one.", "더 이상 사용할 수 없는 링크입니다. 새 링크를 요청해 주세요."},
	},
	{
		Code: RateLimited, Status: 429, Title: "Too many requests",
		Detail:  "There were too many of these requests. Try again after the seconds in Retry-After.",
		Cause:   "A rate limit is exceeded: too many wrong passwords for this name or from this client, or too many requests from this client or user.",
		Remedy:  "Wait for the seconds in `Retry-After` and repeat the request. Show the user how long that is.",
		Message: Message{"Too many attempts.", "시도 횟수가 너무 많습니다."},
	},
	{
		Code: ServerFailed, Status: 500, Title: "Internal server error",
		Detail:  "The server failed. Its log has the cause under the request id.",
		Cause:   "The server could not process the request because of an internal error.",
		Remedy:  "Show `request_id`, so that the operator can find the cause in the log. Repeat a read later. For a write, see the section “After a lost response” of the contract.",
		Message: Message{"Something went wrong on the server. Try again later.", "서버에 문제가 발생했습니다. 잠시 후 다시 시도해 주세요."},
	},
	{
		Code: ServiceUnavailable, Status: 503, Title: "Service unavailable",
		Detail:  "The service cannot answer at the moment. Try again after the seconds in Retry-After.",
		Cause:   "The server is overloaded, shutting down, or cannot reach its database.",
		Remedy:  "Wait for the seconds in `Retry-After` and repeat the request.",
		Message: Message{"The server is busy. Try again in a moment.", "서버가 혼잡합니다. 잠시 후 다시 시도해 주세요."},
	},
}

// KindOf returns the description of a code. It reports false for a code that is not in the table.
func KindOf(code Code) (Kind, bool) {
	kind, ok := kindsByCode[code]
	return kind, ok
}

var kindsByCode = indexBy(Kinds, func(k Kind) Code { return k.Code })

func indexBy[K comparable, V any](list []V, key func(V) K) map[K]V {
	index := make(map[K]V, len(list))
	for _, each := range list {
		index[key(each)] = each
	}
	return index
}
