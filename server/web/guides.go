package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

//go:embed docs/guides
var guideFiles embed.FS

const (
	guideFolder = "docs/guides"
	guideIndex  = "README.md" // forges show this file with the folder
)

var guideTemplate = template.Must(template.ParseFS(guideFiles, guideFolder+"/page.html"))

// guide is a page of /docs/guides/.
type guide struct {
	Name     string // the last element of its URL: "operations" for operations.md, "" for the index
	Title    string
	Sections []section // the headings of level 2
	Content  template.HTML
}

// section is a heading with an anchor.
type section struct{ ID, Title string }

// guidePages returns the guides as pages, by URL path. It renders them at its first call, and panics
// on an error, because the guides are part of the binary.
var guidePages = sync.OnceValue(func() map[string]*asset {
	style, err := guideFiles.ReadFile(guideFolder + "/style.css")
	if err != nil {
		panic("web: " + err.Error())
	}
	pages := map[string]*asset{"/docs/guides/style.css": newAsset("style.css", style, false)}
	guides, err := readGuides(guideFiles)
	if err != nil {
		panic("web: guides: " + err.Error())
	}
	for _, g := range guides {
		var page bytes.Buffer
		if err := guideTemplate.Execute(&page, map[string]any{"Guide": g, "Guides": guides}); err != nil {
			panic("web: guide " + g.Name + ": " + err.Error())
		}
		pages["/docs/guides/"+g.Name] = newAsset("guide.html", page.Bytes(), false)
	}
	return pages
})

// readGuides renders the index, and after it the guides in the order in which the index links to
// them.
func readGuides(tree fs.FS) ([]guide, error) {
	index, links, err := readGuide(tree, guideIndex)
	if err != nil {
		return nil, err
	}
	guides := []guide{index}
	listed := map[string]bool{guideIndex: true}
	for _, link := range links {
		if listed[link] {
			continue
		}
		listed[link] = true
		g, _, err := readGuide(tree, link)
		if err != nil {
			return nil, err
		}
		guides = append(guides, g)
	}
	return guides, nil
}

// readGuide renders a guide and returns it with the guides to which it links.
func readGuide(tree fs.FS, file string) (guide, []string, error) {
	source, err := fs.ReadFile(tree, path.Join(guideFolder, file))
	if err != nil {
		return guide{}, nil, err
	}
	context := parser.NewContext(parser.WithIDs(&forgeIDs{seen: map[string]int{}}))
	document := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(context))
	g := guide{Name: guideName(file)}
	for _, heading := range nodes[*ast.Heading](document) {
		id, _ := heading.AttributeString("id")
		anchor, _ := id.([]byte)
		switch title := plainText(heading, source); heading.Level {
		case 1:
			g.Title = title
		case 2:
			g.Sections = append(g.Sections, section{string(anchor), title})
		}
	}
	links := adaptForWeb(document)
	var content bytes.Buffer
	if err := markdown.Renderer().Render(&content, source, document); err != nil {
		return guide{}, nil, err
	}
	g.Content = template.HTML(content.String()) //nolint:gosec // goldmark omits raw HTML, and the guides are part of the binary
	return g, links, nil
}

// guideName returns the last element of the URL of a guide.
func guideName(file string) string {
	if file == guideIndex {
		return ""
	}
	return strings.TrimSuffix(file, ".md")
}

// markdown renders the dialect of the guides: CommonMark with tables and plain URLs as links. It
// omits raw HTML. The style attribute, which the policy of the pages blocks, is not used for the
// alignment of cells.
var markdown = goldmark.New(
	goldmark.WithExtensions(
		extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		extension.Linkify,
	),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(scrollingTable{}, 100))),
)
