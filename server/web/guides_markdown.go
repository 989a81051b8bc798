package web

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// nodes returns the nodes of a type below root, in the order of the text.
func nodes[N ast.Node](root ast.Node) (list []N) {
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function returns no error
		if typed, ok := n.(N); ok && entering {
			list = append(list, typed)
		}
		return ast.WalkContinue, nil
	})
	return list
}

// adaptForWeb removes comments and adapts the links of a guide, which are relative to its file. It
// returns the guides to which the guide links.
func adaptForWeb(document ast.Node) (guides []string) {
	for _, html := range nodes[*ast.HTMLBlock](document) {
		html.Parent().RemoveChild(html.Parent(), html)
	}
	for _, html := range nodes[*ast.RawHTML](document) {
		html.Parent().RemoveChild(html.Parent(), html)
	}
	for _, link := range nodes[*ast.Link](document) {
		target, file := servedTarget(string(link.Destination))
		if file != "" {
			guides = append(guides, file)
		}
		if target == "" {
			unwrap(link)
			continue
		}
		link.Destination = []byte(target)
	}
	return guides
}

// servedTarget returns the target of a link of a guide on the served page, or "" if it is a file of
// the repository that the server does not serve. If the target is another guide, it returns its
// file too.
func servedTarget(link string) (target, guide string) {
	parsed, err := url.Parse(link)
	if err != nil || parsed.IsAbs() || parsed.Path == "" {
		return link, ""
	}
	anchor := ""
	if parsed.Fragment != "" {
		anchor = "#" + parsed.EscapedFragment()
	}
	switch file := path.Join("server/web", guideFolder, parsed.Path); {
	case file == "openapi.yaml":
		return "/openapi.yaml", ""
	case path.Dir(parsed.Path) == "." && path.Ext(parsed.Path) == ".md":
		name := guideName(parsed.Path)
		if name == "" {
			name = "./"
		}
		return name + anchor, parsed.Path
	}
	return "", ""
}

// unwrap replaces a node by its children.
func unwrap(n ast.Node) {
	parent := n.Parent()
	for child := n.FirstChild(); child != nil; child = n.FirstChild() {
		parent.InsertBefore(parent, n, child)
	}
	parent.RemoveChild(parent, n)
}

// plainText returns the text of a node without markup.
func plainText(n ast.Node, source []byte) string {
	var words strings.Builder
	for _, t := range nodes[*ast.Text](n) {
		words.Write(t.Value(source))
	}
	return words.String()
}

var (
	linkSyntax    = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	notInAnchor   = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc} -]`)
	markupOfWords = strings.NewReplacer("`", "", "*", "")
)

// forgeIDs derives anchors from headings as GitHub and GitLab do, so that a link to a section works
// on a forge and on the served page. scripts/check-links.mjs has the same rule.
type forgeIDs struct{ seen map[string]int }

// Generate implements [parser.IDs].
func (ids *forgeIDs) Generate(heading []byte, _ ast.NodeKind) []byte {
	words := markupOfWords.Replace(linkSyntax.ReplaceAllString(strings.TrimSpace(string(heading)), "$1"))
	anchor := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(words), ""), " ", "-")
	count := ids.seen[anchor]
	ids.seen[anchor]++
	if count > 0 {
		anchor = fmt.Sprintf("%s-%d", anchor, count)
	}
	return []byte(anchor)
}

// Put implements [parser.IDs]. The guides have no anchors other than those of headings.
func (ids *forgeIDs) Put([]byte) {}

// scrollingTable renders a table inside an element that scrolls, also by keyboard, so that a wide
// table does not widen the page.
type scrollingTable struct{}

// RegisterFuncs implements [renderer.NodeRenderer].
func (scrollingTable) RegisterFuncs(register renderer.NodeRendererFuncRegisterer) {
	register.Register(extast.KindTable, func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
		markup := "<div class=\"table\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">\n<table>\n"
		if !entering {
			markup = "</table>\n</div>\n"
		}
		_, err := w.WriteString(markup)
		return ast.WalkContinue, err
	})
}
