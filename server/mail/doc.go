// Package mail writes the messages of the server, in English and Korean, and delivers them to an
// SMTP server ([SMTP]) or to files for development ([Files]).
//
// A message is a [Kind] and a few values. Its subject is fixed for each kind and locale. Its texts
// are embedded templates: templates/en.tmpl and templates/ko.tmpl contain the sentences, and
// layout.txt and layout.html the text around them, so that both alternatives of a mail always have
// the same content. To add a locale, add a file and its name to the list in render.go.
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
// The package must not depend on users, tokens or storage. It does not queue, retry or read a
// clock: Send makes one attempt, and its error reports whether another attempt can succeed
// ([ErrPermanent]).
package mail
