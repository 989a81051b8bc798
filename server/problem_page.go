package server

import "example.com/accounts/server/web"

// problemPages returns the pages below /problems/, to which the member type of every problem links.
func problemPages() web.ProblemTexts {
	var texts web.ProblemTexts
	for _, k := range problemKinds {
		texts.Problems = append(texts.Problems, web.Problem{
			Code: string(k.code), Status: k.status, Title: k.title, Detail: k.detail, Cause: k.cause, Remedy: k.remedy, Messages: messages(k.message),
		})
	}
	for _, k := range fieldKinds {
		texts.Fields = append(texts.Fields, web.ProblemField{Code: string(k.code), Cause: k.cause, Messages: messages(k.message)})
	}
	return texts
}

// messages returns a message in all languages.
func messages(m message) []web.Message {
	var list []web.Message
	for _, each := range languages {
		list = append(list, web.Message{Tag: each.tag, Language: each.name, Text: each.in(m)})
	}
	return list
}
