package models_test

import (
	"os"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

// The two statements that most requests execute: the read of a session, and its rotation.

func BenchmarkSession(b *testing.B) {
	s, session := benchmarkSession(b)
	for b.Loop() {
		_, err := s.Session(b.Context(), session.ID)
		ok(b, err)
	}
}

func BenchmarkRotate(b *testing.B) {
	s, session := benchmarkSession(b)
	r := models.Rotation{
		ID: session.ID, UserID: session.UserID, Transport: session.Transport, ExpiresAt: session.ExpiresAt, IdleExpiresAt: session.IdleExpiresAt,
		Now: session.RotatedAt, Tolerance: time.Hour,
	}
	for b.Loop() {
		if rotated, err := s.Rotate(b.Context(), r); !rotated || err != nil {
			b.Fatal(rotated, err)
		}
		r.Generation++
	}
}

// benchmarkSession returns a store with a session, on MySQL if TEST_ENGINES says so, else on
// SQLite.
func benchmarkSession(b *testing.B) (*models.Store, models.Session) {
	b.Helper()
	engine := servertest.SQLite
	if os.Getenv("TEST_ENGINES") == "mysql" {
		engine = servertest.MySQL
	}
	s := open(b, servertest.NewDatabase(b, engine))
	_, err := s.Migrate(b.Context())
	ok(b, err)
	at := now()
	u := models.User{Username: "ada", UsernameNorm: "ada", Email: "ada@example.com", EmailNorm: "ada@example.com", IsActive: true, DateJoined: at}
	session := newSession(u, at)
	ok(b, s.Tx(b.Context(), func(tx *models.Tx) error {
		if err := tx.CreateUser(&u); err != nil {
			return err
		}
		session.UserID = u.ID
		return tx.InsertSession(session, time.Hour)
	}))
	b.ReportAllocs()
	return s, session
}
