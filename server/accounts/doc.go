// Package accounts holds the rules: who may sign in, how a session begins, is refreshed and ends, and who a request
// comes from. It is plain Go over models, credentials and token.
//
// A public method is one operation of the contract or one command, and the place where its transaction opens and
// closes. Errors are *Error with a code of the contract. Files bear the names of the contract's tags.
//
// It must not know HTTP, cookies, the wire types or SQL.
package accounts
