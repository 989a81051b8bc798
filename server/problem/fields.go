package problem

import (
	"fmt"
	"strings"
)

// FieldKind describes a field code (FieldErrorCode of the contract).
type FieldKind struct {
	Code     string
	Detail   string // in responses
	Cause    string // for developers, as in the contract
	Message  Message
	Operator string // the sentence that accountsd prints about a password; %d is the minimum
}

// FieldKinds is the only table of the field codes, in the order of the contract's enum. The causes
// are those of the contract; a test compares them.
var FieldKinds = []FieldKind{
	{
		Code: "required", Detail: "This field is required.",
		Cause:   "The field is missing, or empty where it must not be.",
		Message: Message{"Fill in this field.", "이 항목을 입력해 주세요."},
	},
	{
		Code: "field_unknown", Detail: "This operation has no field of this name.",
		Cause:   "The operation has no field of this name.",
		Message: pageFailed,
	},
	{
		Code: "field_duplicate", Detail: "This field occurs twice.",
		Cause:   "The field occurs twice.",
		Message: pageFailed,
	},
	{
		Code: "parameter_unknown", Detail: "This operation has no parameter of this name.",
		Cause:   "The operation has no parameter of this name.",
		Message: pageFailed,
	},
	{
		Code: "parameter_duplicate", Detail: "This parameter occurs twice.",
		Cause:   "The parameter occurs twice.",
		Message: pageFailed,
	},
	{
		Code: "too_short", Detail: "This is too short.",
		Cause:    "The text has fewer characters than `minimum`.",
		Message:  Message{"This is too short.", "너무 짧습니다."},
		Operator: "the password is too short: use at least %d characters",
	},
	{
		Code: "too_long", Detail: "This is too long.",
		Cause:    "The text has more characters than `maximum`, or the body more bytes.",
		Message:  Message{"This is too long.", "너무 깁니다."},
		Operator: "the password is too long: use at most 256 characters and 1024 bytes",
	},
	{
		Code: "too_few", Detail: "There are too few items.",
		Cause:   "The list has fewer items than `minimum`.",
		Message: Message{"There are too few items.", "개수가 너무 적습니다."},
	},
	{
		Code: "too_many", Detail: "There are too many items.",
		Cause:   "The list has more items than `maximum`.",
		Message: Message{"There are too many items.", "개수가 너무 많습니다."},
	},
	{
		Code: "out_of_range", Detail: "This number is out of range.",
		Cause:   "The number is below `minimum` or above `maximum`.",
		Message: Message{"This number is too small or too large.", "숫자가 너무 작거나 너무 큽니다."},
	},
	{
		Code: "format_invalid", Detail: "This does not have the right form.",
		Cause:   "The text does not have the form that the field requires.",
		Message: Message{"This does not have the right form.", "형식이 올바르지 않습니다."},
	},
	{
		Code: "type_invalid", Detail: "This is not of the right type.",
		Cause:   "The value does not have the JSON type that the field requires.",
		Message: Message{"This value cannot be used.", "사용할 수 없는 값입니다."},
	},
	{
		Code: "value_invalid", Detail: "This is not one of the allowed values.",
		Cause:   "The value is not one of the allowed values.",
		Message: Message{"This is not one of the allowed values.", "선택할 수 없는 값입니다."},
	},
	{
		Code: "taken", Detail: "Another user has this value.",
		Cause:   "Another user has this value.",
		Message: Message{"This is already in use. Choose another one.", "다른 사용자가 사용 중입니다. 다른 값을 정해 주세요."},
	},
	{
		Code: "password_common", Detail: "This password is easy to guess: it is common, a pattern, or made from the account's own data or the name of the service. Choose another one.",
		Cause:    "The password is easy to guess.",
		Message:  Message{"This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.", "추측하기 쉬운 비밀번호입니다. 흔히 쓰이거나 규칙적이거나 본인 정보로 만든 비밀번호는 사용할 수 없습니다. 다른 비밀번호를 정해 주세요."},
		Operator: "the password is easy to guess (a common password, a pattern, or derived from the user's own data or the name of the service): choose another one",
	},
	{
		Code: "password_breached", Detail: "This password is known from a data breach. Choose another one.",
		Cause:    "The password is in a list of breached passwords.",
		Message:  Message{"This password is known from a data breach of another website, so attackers may try it. Choose another one.", "다른 웹사이트의 정보 유출로 알려진 비밀번호라 공격에 쓰일 수 있습니다. 다른 비밀번호를 정해 주세요."},
		Operator: "the password appears in a data breach: choose another one",
	},
	{
		Code: "password_wrong", Detail: "This is not the right password.",
		Cause:   "The password is not the user's password.",
		Message: Message{"This is not the right password.", "비밀번호가 올바르지 않습니다."},
	},
}

// FieldKindOf returns the description of a field code, or the zero value for an unknown one.
func FieldKindOf(code string) FieldKind { return fieldKindsByCode[code] }

var fieldKindsByCode = indexBy(FieldKinds, func(k FieldKind) string { return k.Code })

// operatorForms has the sentence that accountsd prints about any fault of a name.
var operatorForms = map[string]string{
	"username": "the username is not valid: use at most 150 letters, digits and marks, without spaces or @",
	"email":    "the e-mail address is not valid: use an address such as name@host.example",
}

// ForOperator returns the fault as a message for the operator.
func (f FieldFault) ForOperator() string {
	if text, ok := operatorForms[f.Field]; ok {
		return text
	}
	text := FieldKindOf(f.Reason).Operator
	switch {
	case f.Field != "password" || text == "":
		return "the " + strings.ReplaceAll(f.Field, "_", " ") + " is not valid"
	case strings.Contains(text, "%d"):
		return fmt.Sprintf(text, f.Minimum)
	}
	return text
}
