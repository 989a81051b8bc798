package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"example.com/accounts/api/client"
	"example.com/accounts/server/servertest"
)

func Example() {
	url, username, password, done := anAccountsServer()
	defer done()
	ctx := context.Background()

	accounts, err := client.New(client.Options{BaseURL: url}) // with a Storage, the session outlives the program
	if err != nil {
		panic(err)
	}
	if _, err := accounts.Login(ctx, username, "not the password"); err != nil {
		fmt.Println(err.(*client.Error).Code)
	}
	if _, err := accounts.Login(ctx, username, password); err != nil {
		panic(err)
	}
	profile, err := accounts.API.GetProfileWithResponse(ctx)
	if err := client.Check(profile, err); err != nil {
		panic(err)
	}
	fmt.Println(profile.JSON200.User.FirstName)
	fmt.Println(accounts.Logout(ctx))
	// Output:
	// credentials_invalid
	// Ada
	// <nil>
}

func ExampleAccounts_Sessions() {
	url, username, password, done := anAccountsServer()
	defer done()
	ctx := context.Background()

	accounts, err := client.New(client.Options{BaseURL: url})
	if err != nil {
		panic(err)
	}
	if _, err := accounts.Login(ctx, username, password); err != nil {
		panic(err)
	}
	for session, err := range accounts.Sessions(ctx, nil) {
		if err != nil {
			panic(err)
		}
		fmt.Println(session.TokenTransport, session.Current)
	}
	// Output: body true
}

func ExampleError() {
	url, _, _, done := anAccountsServer()
	defer done()
	ctx := context.Background()

	accounts, err := client.New(client.Options{BaseURL: url})
	if err != nil {
		panic(err)
	}
	registered, err := accounts.API.RegisterWithResponse(ctx, client.RegisterRequest{Email: "ada@example.com", Password: "too short"})
	var problem *client.Error
	if err := client.Check(registered, err); errors.As(err, &problem) {
		switch problem.Code {
		case client.ProblemCodeValidationFailed:
			for _, field := range problem.Errors {
				fmt.Println(*field.Pointer, field.Code)
			}
		default: // later versions have more codes
			fmt.Println(problem.Detail)
		}
	}
	// Output: /password too_short
}

// anAccountsServer starts a real server with a user.
func anAccountsServer() (url, username, password string, done func()) {
	t := &example{}
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	return s.URL, u.Username, u.Password, t.end
}

// example is the testing.TB that servertest needs and an example does not have.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()           {}
func (e *example) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
func (e *example) Cleanup(f func())  { e.cleanups = append(e.cleanups, f) }
func (e *example) TempDir() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (e *example) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}
