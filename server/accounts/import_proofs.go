package accounts

import (
	"strconv"
	"strings"
)

// proofs are what django-allauth knows of addresses. Only hashes are kept: about 100 bytes of memory for each row.
type proofs struct {
	verified map[[16]byte]bool  // by user and address; an address that is not here is unknown to allauth
	owners   map[[16]byte]int64 // by verified address, the user with the lowest id
}

func newProofs() proofs { return proofs{map[[16]byte]bool{}, map[[16]byte]int64{}} }

func (p proofs) add(a DjangoAddress) {
	norm, ok := canonicalEmail(strings.TrimSpace(a.Email))
	if !ok || a.UserID == 0 {
		return
	}
	key := proofKey(a.UserID, norm)
	p.verified[key] = p.verified[key] || a.Verified
	if !a.Verified {
		return
	}
	address := nameKey(asEmail, norm)
	if owner, ok := p.owners[address]; !ok || a.UserID < owner {
		p.owners[address] = a.UserID
	}
}

// elsewhere reports whether another user has proved the address and this one has not. The user who has proved it may
// come later, and must find it free.
func (p proofs) elsewhere(id int64, norm string) bool {
	owner, ok := p.owners[nameKey(asEmail, norm)]
	return ok && owner != id && !p.verified[proofKey(id, norm)]
}

func proofKey(id int64, norm string) [16]byte {
	return nameKey("proof of "+strconv.FormatInt(id, 10), norm)
}

// Addresses notes what django-allauth knows of addresses. It comes before the users.
func (i *Import) Addresses(batch []DjangoAddress) {
	for _, a := range batch {
		i.proofs.add(a)
	}
}

// verified reports whether the address of a user counts as verified. What allauth says comes before what the operator
// states: an address that allauth has as not verified was typed by a user who never opened the link.
func (i *Import) verified(id int64, norm string) bool {
	verified, known := i.proofs.verified[proofKey(id, norm)]
	return verified || !known && i.EmailsVerified
}
