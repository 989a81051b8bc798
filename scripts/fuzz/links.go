package main

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// addLinks creates links of each purpose: registration, change of address, and password reset. The
// mail worker runs once, because it creates the tokens of resets, and never again.
func (w *world) addLinks() {
	ctx, stop := context.WithCancel(context.Background())
	mails, done := &servertest.Mails{}, make(chan struct{})
	for _, name := range []string{"five", "six"} {
		w.must(w.s.Service.Register(ctx, accounts.Registration{Email: "Zq-" + name + "@example.com", Password: goodPassword, Username: "zq-" + name}))
	}
	for i, u := range w.kept.users {
		w.must(w.s.Service.RequestPasswordReset(ctx, u.email, accounts.Client{}))
		if i < 2 {
			c := w.s.Login(servertest.User{User: models.User{Username: u.username}, Password: u.password}, token.Hybrid)
			body := map[string]any{"email": "Zq-new-" + u.username + "@example.com"}
			c.Do(http.MethodPost, "/accounts/email/change", body).Want(w.t, http.StatusAccepted, "")
			c.Logout().Want(w.t, http.StatusNoContent, "")
		}
	}
	go func() {
		defer close(done)
		w.s.Service.SendMails(ctx, mails, func(f accounts.MailFault) { w.t.Errorf("an email of kind %s: %v", f.Kind, f.Err) })
	}()
	for _, u := range w.kept.users {
		mails.Wait(w.t, u.email, 1)
	}
	for w.s.Database.Count(w.t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") > 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	w.readLinks()
	w.kept.links = w.links
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

// readLinks reads the unused links. The token in a mail is a function of the row's id and the
// secret.
func (w *world) readLinks() {
	w.links = map[string][]link{}
	rows, err := w.s.Database.SQL.QueryContext(context.Background(), "SELECT id, purpose, user_id, email FROM one_time_tokens WHERE used_at IS NULL ORDER BY id")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var purpose string
		var l link
		w.must(rows.Scan(&id, &purpose, &l.userID, &l.email))
		l.value = w.ring.OneTime(uuid.UUID(id))
		w.links[purpose] = append(w.links[purpose], l)
	}
	w.must(rows.Err())
}

// hostileTokens returns the forged access and refresh tokens that fit into a header.
func (w *world) hostileTokens() (list []string) {
	for _, s := range w.kept.sessions {
		if s.state != live || s.transport != string(token.Body) {
			continue
		}
		for _, use := range []tokentest.Use{tokentest.Access, tokentest.Refresh} {
			cases := append(tokentest.Hostile(use, servertest.SecretKey, s.access, s.refresh, time.Now()), tokentest.Unbacked(use, servertest.SecretKey, s.access, s.refresh, time.Now())...)
			for _, c := range cases {
				if len(c.Raw) < 100_000 {
					list = append(list, c.Raw)
				}
			}
		}
		break
	}
	return list
}
