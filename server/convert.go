package server

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// From facts (models) to the wire (api). Pure functions, one a type.

func user(u models.User) api.User {
	return api.User{
		ID: u.ID, Username: u.Username, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName,
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser, EmailVerified: u.EmailVerifiedAt != nil,
		DateJoined: u.DateJoined, LastLogin: orNull(u.LastLogin),
	}
}

func orNull(t *time.Time) nullable.Nullable[time.Time] {
	if t == nil {
		return nullable.NewNullNullable[time.Time]()
	}
	return nullable.NewNullableWithValue(*t)
}

func session(s models.Session, current models.ID) api.Session {
	return api.Session{
		ID: uuid.UUID(s.ID), CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt, UserAgent: s.UserAgent, IP: s.IP,
		TokenTransport: api.TokenTransport(s.Transport), Current: s.ID == current,
	}
}

func sessions(list []models.Session, current models.ID) []api.Session {
	sessions := make([]api.Session, 0, len(list))
	for _, each := range list {
		sessions = append(sessions, session(each, current))
	}
	return sessions
}

// event is one as the user sees it. Where a member of staff works from is not the user's to know, nor who it was.
func event(e models.Event) api.Event {
	shown := api.Event{
		ID: uuid.UUID(e.ID), Kind: api.EventKind(e.Kind), CreatedAt: e.CreatedAt, Detail: e.Detail, IP: e.IP, UserAgent: e.UserAgent,
		SessionID: idOrNull(e.SessionID), RequestID: idOrNull(e.RequestID),
	}
	if e.ActorID != nil && *e.ActorID != e.UserID {
		shown.IP, shown.UserAgent, shown.RequestID = "", "", uuidOrNull(uuid.Nil)
		shown.Detail = strings.TrimSuffix("by staff: "+e.Detail, ": ")
	}
	return shown
}

// adminEvent is one as staff sees it.
func adminEvent(e models.Event) api.AdminEvent {
	return api.AdminEvent{
		ID: uuid.UUID(e.ID), Kind: api.EventKind(e.Kind), CreatedAt: e.CreatedAt, Detail: e.Detail, IP: e.IP, UserAgent: e.UserAgent,
		SessionID: idOrNull(e.SessionID), RequestID: idOrNull(e.RequestID), UserID: e.UserID, ActorID: userIDOrNull(e.ActorID),
	}
}

func adminEvents(list []models.Event) []api.AdminEvent {
	events := make([]api.AdminEvent, 0, len(list))
	for _, each := range list {
		events = append(events, adminEvent(each))
	}
	return events
}

func userIDOrNull(id *int64) nullable.Nullable[int64] {
	if id == nil {
		return nullable.NewNullNullable[int64]()
	}
	return nullable.NewNullableWithValue(*id)
}

func users(list []models.User) []api.User {
	users := make([]api.User, 0, len(list))
	for _, each := range list {
		users = append(users, user(each))
	}
	return users
}

func adminUser(d accounts.UserDetail) api.AdminUserResult {
	return api.AdminUserResult{User: user(d.User), Locale: d.User.Locale, HasPassword: d.HasPassword, Throttled: d.Throttled, PendingEmail: textOrNull(d.PendingEmail)}
}

// textOrNull returns null for an empty text.
func textOrNull(text string) nullable.Nullable[string] {
	if text == "" {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(text)
}

func events(list []models.Event) []api.Event {
	events := make([]api.Event, 0, len(list))
	for _, each := range list {
		events = append(events, event(each))
	}
	return events
}

func idOrNull(id *models.ID) nullable.Nullable[uuid.UUID] {
	if id == nil {
		return uuidOrNull(uuid.Nil)
	}
	return uuidOrNull(uuid.UUID(*id))
}

func uuidOrNull(id uuid.UUID) nullable.Nullable[uuid.UUID] {
	if id == uuid.Nil {
		return nullable.NewNullNullable[uuid.UUID]()
	}
	return nullable.NewNullableWithValue(id)
}

func export(data accounts.Export, current models.ID) api.ProfileExport {
	return api.ProfileExport{ExportedAt: data.At, User: user(data.User), Locale: data.User.Locale, NewEmail: data.NewEmail, Sessions: sessions(data.Sessions, current), Events: events(data.Events)}
}

func jwks(set accounts.JWKS) api.JwkSet {
	keys := make([]api.Jwk, 0, len(set.Keys))
	for _, k := range set.Keys {
		keys = append(keys, api.Jwk{Kty: api.JwkKty(k.KeyType), Crv: api.JwkCrv(k.Curve), X: k.X, Kid: k.KeyID, Alg: api.JwkAlg(k.Algorithm), Use: api.JwkUse(k.Use)})
	}
	return api.JwkSet{Keys: keys}
}

// login adds the user to the tokens.
func login(t api.TokenResult, u models.User) api.LoginResult {
	return api.LoginResult{
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, TokenType: t.TokenType, ExpiresIn: t.ExpiresIn, RefreshIn: t.RefreshIn, Generation: t.Generation,
		CsrfToken: t.CsrfToken, TokenTransport: t.TokenTransport, Session: t.Session, User: user(u),
	}
}
