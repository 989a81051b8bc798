package server

import (
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// The functions below convert between models and the types of the API. Each converts one type and
// has no side effects.

func user(u models.User) api.User {
	return api.User{
		ID: u.ID, Username: u.Username, Email: textOrNull(u.Email), EmailVerified: u.EmailVerifiedAt != nil,
		FirstName: u.FirstName, LastName: u.LastName, Locale: textOrNull(u.Locale),
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		DateJoined: timestamp(u.DateJoined), LastLogin: timestampOrNull(u.LastLogin),
	}
}

// profile converts a user to the form that the user sees.
func profile(d accounts.UserDetail) api.Profile {
	u := user(d.User)
	return api.Profile{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, FirstName: u.FirstName, LastName: u.LastName, Locale: u.Locale,
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser, DateJoined: u.DateJoined, LastLogin: u.LastLogin,
		HasPassword: d.HasPassword, PendingEmail: textOrNull(d.PendingEmail),
	}
}

// timestamp converts a time to the form of the contract: UTC, in whole seconds.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func timestampOrNull(t *time.Time) nullable.Nullable[time.Time] {
	if t == nil {
		return nullable.NewNullNullable[time.Time]()
	}
	return nullable.NewNullableWithValue(timestamp(*t))
}

func session(s models.Session, current uuid.UUID) api.Session {
	return api.Session{
		ID: s.ID, CreatedAt: timestamp(s.CreatedAt), LastUsedAt: timestamp(s.LastUsedAt), ExpiresAt: timestamp(s.ExpiresAt),
		UserAgent: textOrNull(s.UserAgent), IP: textOrNull(s.IP),
		TokenTransport: api.TokenTransport(s.Transport), Current: s.ID == current,
	}
}

func sessions(list []models.Session, current uuid.UUID) []api.Session {
	sessions := make([]api.Session, 0, len(list))
	for _, each := range list {
		sessions = append(sessions, session(each, current))
	}
	return sessions
}

// event converts an event to the form that staff members see.
func event(e models.Event) api.Event {
	shown := api.Event{
		ID: e.ID, Kind: api.EventKind(e.Kind), CreatedAt: timestamp(e.CreatedAt), UserID: userIDOrNull(&e.UserID),
		Username: textOrNull(textOf(e.Username)), Actor: actor(e), ActorID: userIDOrNull(nil), ActorUsername: textOrNull(""),
		Changes: changes(e.Changes), Detail: textOrNull(e.Detail),
		SessionID: idOrNull(e.SessionID), IP: textOrNull(e.IP), UserAgent: textOrNull(e.UserAgent), RequestID: idOrNull(e.RequestID),
	}
	if shown.Actor == api.EventActorStaff {
		shown.ActorID, shown.ActorUsername = userIDOrNull(e.ActorID), textOrNull(textOf(e.ActorUsername))
	}
	return shown
}

func changes(list models.Changes) []api.EventChange {
	changes := make([]api.EventChange, 0, len(list))
	for _, each := range list {
		changes = append(changes, api.EventChange{Field: each.Field, Before: textOrNull(textOf(each.Before)), After: textOrNull(textOf(each.After))})
	}
	return changes
}

// ownEvent converts an event to the form that its user sees: without the id and the name of a staff
// member, and without the origin of the staff member's request.
func ownEvent(e models.Event) api.Event {
	shown := event(e)
	if shown.Actor == api.EventActorStaff {
		shown.ActorID, shown.ActorUsername = userIDOrNull(nil), textOrNull("")
		shown.IP, shown.UserAgent, shown.RequestID = textOrNull(""), textOrNull(""), uuidOrNull(uuid.Nil)
	}
	return shown
}

// actor returns the kind of actor that caused an event. An event without a request comes from the
// operator or the server itself. Old rows have no request id, but they do have the address of the
// request.
func actor(e models.Event) api.EventActor {
	switch {
	case e.ActorID != nil && *e.ActorID != e.UserID:
		return api.EventActorStaff
	case e.RequestID == nil && e.IP == "":
		return api.EventActorOperator
	}
	return api.EventActorSelf
}

func events(list []models.Event, convert func(models.Event) api.Event) []api.Event {
	events := make([]api.Event, 0, len(list))
	for _, each := range list {
		events = append(events, convert(each))
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
	u := profile(d)
	return api.AdminUserResult{User: api.AdminUser{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, FirstName: u.FirstName, LastName: u.LastName, Locale: u.Locale,
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser, DateJoined: u.DateJoined, LastLogin: u.LastLogin,
		HasPassword: u.HasPassword, PendingEmail: u.PendingEmail, Throttled: d.Throttled, Version: d.User.Version,
	}}
}

// textOrNull returns null for an empty text.
func textOrNull(text string) nullable.Nullable[string] {
	if text == "" {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(text)
}

func idOrNull(id *uuid.UUID) nullable.Nullable[uuid.UUID] {
	if id == nil {
		return uuidOrNull(uuid.Nil)
	}
	return uuidOrNull(*id)
}

func uuidOrNull(id uuid.UUID) nullable.Nullable[uuid.UUID] {
	if id == uuid.Nil {
		return nullable.NewNullNullable[uuid.UUID]()
	}
	return nullable.NewNullableWithValue(id)
}

// ProfileExport converts the data stored about a user to the response of exportProfile. current is
// the session of the request, or zero if an operator exports the data.
func ProfileExport(data accounts.Export, current uuid.UUID) api.ProfileExport {
	return api.ProfileExport{
		ExportedAt: timestamp(data.At), User: profile(data.User), Sessions: sessions(data.Sessions, current), Events: events(data.Events, ownEvent),
	}
}

func jwks(set accounts.JWKS) api.JwkSet {
	keys := make([]api.Jwk, 0, len(set.Keys))
	for _, k := range set.Keys {
		curve := api.JwkCrv(k.Curve)
		keys = append(keys, api.Jwk{Kty: api.JwkKty(k.KeyType), Crv: &curve, X: &k.X, Kid: k.KeyID, Alg: api.JwkAlg(k.Algorithm), Use: api.JwkUse(k.Use)})
	}
	return api.JwkSet{Keys: keys}
}

// signedInBody returns the body of a login: a token response with the user.
func signedInBody(t api.Refreshed, u models.User) api.SignedIn {
	return api.SignedIn{
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, TokenType: t.TokenType, ExpiresIn: t.ExpiresIn, RefreshIn: t.RefreshIn, Generation: t.Generation,
		CsrfToken: t.CsrfToken, TokenTransport: t.TokenTransport, Session: t.Session, User: user(u),
	}
}

// valueOr returns *p, or the value of otherwise if p is nil.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// textOf returns *p as a string, or "" if p is nil.
func textOf[T ~string](p *T) string { return string(valueOr(p, "")) }

// patchText converts a member of a PATCH request that null clears: to nil if the member is absent,
// and to an empty string if it is null.
func patchText(member nullable.Nullable[string]) *string {
	if !member.IsSpecified() {
		return nil
	}
	value, err := member.Get()
	if err != nil { // null
		value = ""
	}
	return &value
}

// requestedTransport returns the transport that the body of a login requests. The default is
// hybrid.
func requestedTransport(wanted *api.TokenTransport) accounts.Transport {
	if wanted == nil {
		return accounts.Hybrid
	}
	return accounts.Transport(*wanted)
}
