package accounts

import (
	"strconv"
	"strings"

	"example.com/accounts/server/names"
)

// proofs holds what django-allauth knows about addresses. It keeps only hashes, about 100 bytes of
// memory for each row.
type proofs struct {
	verified map[[16]byte]bool  // by user and address; no entry: allauth does not know the address
	owners   map[[16]byte]int64 // by verified address: the user with the lowest id
}

func newProofs() proofs { return proofs{map[[16]byte]bool{}, map[[16]byte]int64{}} }

func (p proofs) add(a DjangoAddress) {
	norm, ok := names.NormalizeEmail(strings.TrimSpace(a.Email))
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

// isProvedElsewhere reports whether another user has verified the address and this one has not. The
// other user may be imported later and must find the address free.
func (p proofs) isProvedElsewhere(id int64, norm string) bool {
	owner, ok := p.owners[nameKey(asEmail, norm)]
	return ok && owner != id && !p.verified[proofKey(id, norm)]
}

func proofKey(id int64, norm string) [16]byte {
	return nameKey("proof of "+strconv.FormatInt(id, 10), norm)
}

// Addresses records what django-allauth knows about addresses. Call it before Users.
func (i *Import) Addresses(batch []DjangoAddress) {
	for _, a := range batch {
		i.proofs.add(a)
	}
}

// isVerified reports whether the address of a user counts as verified. An entry of allauth overrides
// the operator's statement: if allauth marks the address as unverified, the user typed it and never
// opened the link.
func (i *Import) isVerified(id int64, norm string) bool {
	verified, known := i.proofs.verified[proofKey(id, norm)]
	return verified || !known && i.EmailsVerified
}
