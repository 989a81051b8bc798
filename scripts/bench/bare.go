package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// The bare server is the minimum that can do the work: gin, the same driver and database, the same
// kind of token, and one prepared statement for each request. It has no contract, validation,
// revocation, transports, checks of clocks, log or metrics.

// Environment variables of a bare server.
const (
	bareKey      = "BENCH_KEY"      // seed of an Ed25519 key
	bareDatabase = "BENCH_DATABASE" // DSN in the driver's format
)

const bareTables = `CREATE TABLE bare_sessions (
	id BINARY(16) NOT NULL PRIMARY KEY, user_id BIGINT NOT NULL, generation BIGINT NOT NULL, rotated_at DATETIME(6) NOT NULL,
	username VARCHAR(150) NOT NULL, email VARCHAR(254) NOT NULL, first_name VARCHAR(150) NOT NULL, last_name VARCHAR(150) NOT NULL,
	is_active BOOLEAN NOT NULL, date_joined DATETIME(6) NOT NULL, last_login DATETIME(6) NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`

type bareServer struct {
	key    ed25519.PrivateKey
	read   *sql.Stmt
	rotate *sql.Stmt
	seen   sync.Map // SHA-256 of a verified token → its session
}

// bareUser is a response body as long as the product's.
type bareUser struct {
	ID         int64      `json:"id"`
	Username   string     `json:"username"`
	Email      string     `json:"email"`
	FirstName  string     `json:"first_name"`
	LastName   string     `json:"last_name"`
	IsActive   bool       `json:"is_active"`
	DateJoined time.Time  `json:"date_joined"`
	LastLogin  *time.Time `json:"last_login"`
}

func serveBare(ctx context.Context, addr string) error {
	seed, err := hex.DecodeString(os.Getenv(bareKey))
	if err != nil || len(seed) != ed25519.SeedSize {
		return errors.New(bareKey + " is not a valid seed")
	}
	db, err := sql.Open("mysql", os.Getenv(bareDatabase))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	s := &bareServer{key: ed25519.NewKeyFromSeed(seed)}
	s.read, err = db.PrepareContext(ctx, `SELECT user_id, username, email, first_name, last_name, is_active, date_joined, last_login
		FROM bare_sessions WHERE id = ?`)
	if err != nil {
		return err
	}
	s.rotate, err = db.PrepareContext(ctx, "UPDATE bare_sessions SET generation = generation + 1, rotated_at = ? WHERE id = ? AND generation = ?")
	if err != nil {
		return err
	}
	return s.serve(ctx, addr)
}

func (s *bareServer) serve(ctx context.Context, addr string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/readyz", func(c *gin.Context) { c.Status(http.StatusOK) })
	engine.GET("/profile", s.profile(s.verifyOnce))
	engine.GET("/profile/unseen", s.profile(s.verify))
	engine.POST("/refresh", s.refresh)
	srv := &http.Server{Addr: addr, Handler: engine, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *bareServer) profile(session func(raw string) (uuid.UUID, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		id, err := session(strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer "))
		if err != nil {
			c.Status(http.StatusUnauthorized)
			return
		}
		var u bareUser
		err = s.read.QueryRowContext(c.Request.Context(), id[:]).
			Scan(&u.ID, &u.Username, &u.Email, &u.FirstName, &u.LastName, &u.IsActive, &u.DateJoined, &u.LastLogin)
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.JSON(http.StatusOK, u)
	}
}

// verify checks the signature and returns the session id.
func (s *bareServer) verify(raw string) (uuid.UUID, error) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return s.key.Public(), nil },
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired())
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(claims.Subject)
}

// verifyOnce is [bareServer.verify] with a cache: each token is verified once.
func (s *bareServer) verifyOnce(raw string) (uuid.UUID, error) {
	sum := sha256.Sum256([]byte(raw))
	if id, ok := s.seen.Load(sum); ok {
		return id.(uuid.UUID), nil
	}
	id, err := s.verify(raw)
	if err == nil {
		s.seen.Store(sum, id)
	}
	return id, err
}

// refresh executes the conditional UPDATE and signs a token.
func (s *bareServer) refresh(c *gin.Context) {
	var in struct {
		ID         uuid.UUID `json:"id"`
		Generation int64     `json:"generation"`
	}
	if c.ShouldBindJSON(&in) != nil {
		c.Status(http.StatusBadRequest)
		return
	}
	now := time.Now().UTC()
	result, err := s.rotate.ExecContext(c.Request.Context(), now, in.ID[:], in.Generation)
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		c.Status(http.StatusUnauthorized)
		return
	}
	token, err := bareToken(s.key, in.ID, in.Generation+1, now)
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.JSON(http.StatusOK, gin.H{"access_token": token, "generation": in.Generation + 1})
}

func bareToken(key ed25519.PrivateKey, session uuid.UUID, generation int64, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "http://localhost", "aud": "http://localhost", "sub": session.String(), "gen": generation,
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}).SignedString(key)
}
