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
// A stranger can type any address into a form, and the mail to it contains a link
// that opens an account. So these rules hold:
//   - A mail has one recipient, a bare addr-spec of ASCII (address.go).
//   - No input gets into a header except To.
//   - Names occur only in the body, only if they cannot contain a message of their
//     own, and not in mails to an address that is not verified.
//   - There is no remote content.
//   - No error and no log line contains the link, the recipient or the password of
//     the SMTP server.
//
// The package must not know users, tokens or storage. It does not queue, retry or
// look at a clock: Send is one attempt, and its error says whether another is of
// any use ([ErrPermanent]).
package mail
