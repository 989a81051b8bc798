package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed problems
var problemFiles embed.FS

// ProblemTexts are the texts of the pages about problem codes.
type ProblemTexts struct {
	Problems []Problem
	Fields   []ProblemField
}

// Problem is a problem code. In Detail, Cause and Remedy, text between backticks is code.
type Problem struct {
	Code                  string
	Status                int
	Title                 string
	Detail, Cause, Remedy string
	Messages              []Message
}

// ProblemField is a field code. In Cause, text between backticks is code.
type ProblemField struct {
	Code, Cause string
	Messages    []Message
}

// Message is a sentence for users in one language.
type Message struct{ Tag, Language, Text string }

var problemTemplates = template.Must(template.New("").Funcs(template.FuncMap{"spans": spans}).ParseFS(problemFiles, "problems/*.html"))

// Problems serves the pages about problem codes to GET and HEAD:
//
//	/problems/        all problem codes and field codes
//	/problems/{code}  one problem code
//
// The pages have no script. Caching, headers and fail are the same as for [Docs].
func Problems(texts ProblemTexts, fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	style, err := problemFiles.ReadFile("problems/style.css")
	if err != nil {
		panic("web: embedded files: " + err.Error())
	}
	assets := map[string]*asset{
		"/problems/":          newAsset("index.html", problemPage("index.html", texts), false),
		"/problems/style.css": newAsset("style.css", style, false),
	}
	for _, p := range texts.Problems {
		assets["/problems/"+p.Code] = newAsset("problem.html", problemPage("problem.html", p), false)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asset, ok := assets[r.URL.EscapedPath()]; ok { // the encoded path, so that each page has one spelling
			asset.serve(w, r, readingPolicy)
			return
		}
		fail(w, r, http.StatusNotFound)
	})
}

// problemPage renders a page. It panics on an error, because the templates and the texts are part
// of the binary.
func problemPage(name string, data any) []byte {
	var page bytes.Buffer
	if err := problemTemplates.ExecuteTemplate(&page, name, data); err != nil {
		panic("web: " + name + ": " + err.Error())
	}
	return page.Bytes()
}

// span is a part of a text.
type span struct {
	Code bool
	Text string
}

// spans splits a text at its backticks.
func spans(text string) (list []span) {
	for i, part := range strings.Split(text, "`") {
		if part != "" {
			list = append(list, span{Code: i%2 == 1, Text: part})
		}
	}
	return list
}
