// Package mail writes the messages of the server, in English and Korean, and
// hands them over: to an SMTP server ([SMTP]) or to files that a developer opens
// ([Files]).
//
// A message is a [Kind] and a few facts. Its subject is fixed for each kind and
// locale, its texts are the embedded templates: templates/en.tmpl and
// templates/ko.tmpl hold the sentences, layout.txt and layout.html what is around
// them, so both alternatives of a mail always say the same. To add a locale, add a
// file and its name to the list in render.go.
//
// A mail is addressed to whoever somebody typed into a form, and holds a link that
// opens an account. So: one recipient, a bare addr-spec of ASCII (address.go); no
// input in any header but To; names only in the body, only such as cannot carry a
// message of their own, and none to an address that is not proved; no remote
// content; and no error or log line that holds the link, the recipient or the
// password of the SMTP server.
//
// The package must not know users, tokens or storage. It does not queue, retry or
// look at a clock: Send is one attempt, and its error says whether another is of
// any use ([ErrPermanent]).
package mail
