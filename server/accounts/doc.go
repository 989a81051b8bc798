// Package accounts implements the operations of the contract: login and sessions, registration,
// profiles, passwords and administration. It is plain Go over models, credentials, token and mail.
//
// A public method is one operation of the contract or one command of the operator, and opens and
// closes its transaction. Errors are *problem.Error with a code of the contract. Files are named after the
// contract's tags. The package knows nothing of HTTP, cookies, wire types or SQL.
package accounts
