package main

import "strconv"

func (f *fuzzer) spell(r *request, v any) string {
	return spell(v, func(x ref) string { return f.lookup(r, x) })
}

// lookup returns the current value of a ref. It adds the owner of a refresh token to the request's
// owners.
func (f *fuzzer) lookup(r *request, x ref) string {
	w := f.world
	me := w.users[r.who%len(w.users)]
	switch x.kind {
	case refName:
		if x.n == 0 {
			return me.username
		}
		return me.email
	case refPassword:
		if r.link != nil {
			return goodPassword
		}
		if r.shows != nil {
			return w.users[r.shows.who].password
		}
		return me.password
	case refToken:
		if r.link == nil {
			return "used-up"
		}
		return r.link.value
	case refTakenName:
		return w.users[(r.who+x.n)%len(w.users)].username
	case refKnownEmail:
		return w.users[(r.who+x.n)%len(w.users)].email
	case refUser:
		return strconv.FormatInt(w.users[(r.who+x.n)%len(w.users)].id, 10)
	case refSession:
		return w.session(r.who+x.n%3/2, choice{live, x.n}).id
	case refRefresh:
		s := w.session(r.who, choice{live, x.n})
		r.owners = append(r.owners, w.users[s.who].id)
		return s.refresh
	}
	return ""
}

var purposes = map[string]string{"verifyEmail": "verify", "confirmEmailChange": "email_change", "confirmPasswordReset": "reset"}

// findLink sets the link of the request's one-time token, and adds the link's user to the request's
// owners.
func (f *fuzzer) findLink(r *request) {
	o, _ := r.body.(object)
	for _, m := range o {
		x, ok := m.value.(ref)
		if !ok || x.kind != refToken {
			continue
		}
		purpose := purposes[r.op.ID]
		if x.n == 3 { // a link of another operation
			purpose = purposes[[]string{"verifyEmail", "confirmEmailChange", "confirmPasswordReset"}[r.salt%3]]
		}
		if links := f.world.links[purpose]; len(links) > 0 {
			r.link = &links[r.who%len(links)]
			r.owners = append(r.owners, r.link.userID)
		}
	}
}
