package server

import (
	"encoding/json"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/web"
)

// languages has the languages of accounts.Locales, each with its own name for itself and the
// function that returns the text of a message in it.
var languages = []struct {
	tag, name string
	text      func(problem.Message) string
}{
	{"en", "English", func(m problem.Message) string { return m.English }},
	{"ko", "한국어", func(m problem.Message) string { return m.Korean }},
}

// problemCatalogs renders the responses of GET /problems, by language.
func problemCatalogs() (map[string]cacheable, error) {
	catalogs := map[string]cacheable{}
	for _, language := range languages {
		body, err := json.Marshal(problemCatalog(language.tag, language.text))
		if err != nil {
			return nil, err
		}
		catalogs[language.tag] = newCacheable("application/json", body)
	}
	return catalogs, nil
}

func problemCatalog(tag string, in func(problem.Message) string) api.ProblemCatalog {
	catalog := api.ProblemCatalog{Locale: tag}
	for _, k := range problem.Kinds {
		catalog.Problems = append(catalog.Problems, api.ProblemDescription{
			Code: api.ProblemCode(k.Code), Status: k.Status, Title: k.Title, Cause: k.Cause, Remedy: k.Remedy, Message: in(k.Message),
		})
	}
	for _, k := range problem.FieldKinds {
		catalog.Fields = append(catalog.Fields, api.FieldErrorDescription{Code: api.FieldErrorCode(k.Code), Cause: k.Cause, Message: in(k.Message)})
	}
	return catalog
}

// problemPages returns the pages below /problems/, to which the member type of every problem links.
func problemPages() web.ProblemTexts {
	var texts web.ProblemTexts
	for _, k := range problem.Kinds {
		texts.Problems = append(texts.Problems, web.Problem{
			Code: string(k.Code), Status: k.Status, Title: k.Title, Detail: k.Detail, Cause: k.Cause, Remedy: k.Remedy, Messages: messages(k.Message),
		})
	}
	for _, k := range problem.FieldKinds {
		texts.Fields = append(texts.Fields, web.ProblemField{Code: k.Code, Cause: k.Cause, Messages: messages(k.Message)})
	}
	return texts
}

// messages returns a message in all languages.
func messages(m problem.Message) []web.Message {
	var list []web.Message
	for _, each := range languages {
		list = append(list, web.Message{Tag: each.tag, Language: each.name, Text: each.text(m)})
	}
	return list
}
