// Package accounts implements the operations of the contract: login and sessions, registration,
// profiles, passwords and administration. It is plain Go over models, credentials, token and mail.
//
// The operations are the public methods of sessionOperations, registrationOperations and the other
// types named after a tag of the contract, in the file of that name. A method has the name of its
// operationId. systemOperations also has the server's own work: LimitClient, CleanUp, SendMails and
// others. The methods of operatorCommands are the commands of the operator. A [Service] has all of
// these methods, and those of [sessions.Manager].
//
// An operation opens and closes its transaction. Errors are *problem.Error with a code of the
// contract. The package knows nothing of HTTP, cookies, wire types or SQL.
package accounts
