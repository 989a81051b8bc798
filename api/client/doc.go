// Package client is a client of the accounts API for Go programs: services, desktop programs and
// command-line tools.
//
// [Accounts] keeps one session of the transport "body". It logs in, refreshes before the access
// token expires and after a 401, with one refresh at a time, and retries after lost responses and
// 503s without losing the session. [Accounts.API] is the client that oapi-codegen generates from
// the contract, with every call authorized. The package in api/typescript does the same for front
// ends. The server's part is server/sessions/refresh.go.
//
// # Lists
//
// Every list of the contract has an iterator, such as [Accounts.Users]:
//
//	for user, err := range accounts.Users(ctx, &client.ListUsersParams{Q: &text}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(user.Username)
//	}
//
// An iterator requests a page when the loop reaches it, with the limit and the filters of the
// parameters, which may be nil. It starts at the cursor in the parameters, if there is one. An
// error is yielded once, with a zero value, and ends the iteration.
//
// # Unknown values
//
// Later versions of the server may send more members, problem codes, field codes and kinds of
// events. This package ignores unknown members and keeps unknown values as they are. A switch over
// a code or a kind needs a default: show the detail of the problem, or the name of the kind.
//
// # Recent authentication
//
// Some operations require that the user has entered the password in the last ten minutes. Otherwise
// they fail with [ProblemCodeReauthRequired]. Ask the user for the password, call
// API.ReauthenticateWithResponse and repeat the call.
//
// client.gen.go is generated: edit openapi.yaml and run `make generate`. The package imports
// neither the server nor its dependencies.
package client
