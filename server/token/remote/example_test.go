package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/remote"
	"example.com/accounts/server/token/tokentest"
)

// A service of another team that identifies the user of a request.
func Example() {
	accounts, accessToken := anAccountsServer()
	defer accounts.Close()

	verifier, err := remote.NewVerifier(remote.Options{Issuer: accounts.URL})
	if err != nil {
		panic(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := remote.Claims(r.Context())
		_, _ = fmt.Fprintf(w, "Hello, user %d.", claims.Subject)
	})
	service := httptest.NewServer(verifier.Require(hello))
	defer service.Close()

	fmt.Println(get(service.URL, accessToken))
	fmt.Println(get(service.URL, "rubbish"))
	// Output:
	// 200 Hello, user 42.
	// 401 Bearer realm="accounts", error="invalid_token"
}

// The same with gin.
func ExampleVerifier_Check() {
	accounts, accessToken := anAccountsServer()
	defer accounts.Close()
	verifier, err := remote.NewVerifier(remote.Options{Issuer: accounts.URL})
	if err != nil {
		panic(err)
	}

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(func(c *gin.Context) {
		var ok bool
		if c.Request, ok = verifier.Check(c.Writer, c.Request); !ok {
			c.Abort()
		}
	})
	router.GET("/", func(c *gin.Context) {
		claims, _ := remote.Claims(c.Request.Context())
		c.String(http.StatusOK, "Hello, user %d.", claims.Subject)
	})
	service := httptest.NewServer(router)
	defer service.Close()

	fmt.Println(get(service.URL, accessToken))
	fmt.Println(get(service.URL, "rubbish"))
	// Output:
	// 200 Hello, user 42.
	// 401 Bearer realm="accounts", error="invalid_token"
}

func get(url, accessToken string) string {
	request, _ := http.NewRequest(http.MethodGet, url, nil)
	request.Header.Set("Authorization", "Bearer "+accessToken)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprint(answer.StatusCode, " ", answer.Header.Get("WWW-Authenticate"))
	}
	body, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

// anAccountsServer returns the parts of an accounts server that another service uses, and an access
// token of user 42.
func anAccountsServer() (*httptest.Server, string) {
	secret, err := token.ParseSecret(tokentest.Secret("example"))
	if err != nil {
		panic(err)
	}
	ring, err := token.NewKeyRing([]token.Secret{secret})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(encoded(ring.JWKS())) }))
	now := time.Now()
	raw, err := token.NewIssuer(ring, server.URL, 5*time.Minute).Access(token.Grant{
		Subject: 42, Session: uuid.New(), RotatedAt: now, IdleExpiresAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		panic(err)
	}
	return server, raw
}
