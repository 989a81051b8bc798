package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// kindKnownNetwork is the kind of the rows of rate_limits that store known networks. A known
// network is a client network from which the owner of a name has signed in or reset the password.
// There is one row for each network and name. The network is known until ends_at.
const kindKnownNetwork = "known_network"

// knownNetworkID returns the id of the row for a name and a network. The first half is a hash of
// the name alone, so that all networks of a name are one range of ids.
func knownNetworkID(name, network string) (id uuid.UUID) {
	named := sha256.Sum256([]byte(kindKnownNetwork + "\x00" + name))
	both := sha256.Sum256([]byte(kindKnownNetwork + "\x00" + name + "\x00" + network))
	copy(id[:8], named[:])
	copy(id[8:], both[:])
	return id
}

// KnownNetwork returns the time until which the network is known for a name in canonical form, or
// the zero time. It reads one row by its key whether or not a user has the name.
func (s rateLimitCounts) KnownNetwork(ctx context.Context, name, network string, now time.Time) (time.Time, error) {
	var found []RateLimit
	err := s.reads.WithContext(ctx).Where("id = ? AND ends_at > ?", knownNetworkID(name, network), now).
		Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return time.Time{}, translate(err)
	}
	return found[0].EndsAt, nil
}

// AddKnownNetwork makes a network known for names in canonical form until the given time. The
// caller must have locked the user who has the names, so that a concurrent deletion of the user
// either comes first or removes the rows.
func (t *Tx) AddKnownNetwork(names []string, network string, until time.Time) error {
	rows := make([]RateLimit, 0, len(names))
	for _, name := range names {
		id := knownNetworkID(name, network)
		rows = append(rows, RateLimit{ID: id, Kind: kindKnownNetwork, Hits: 1, LastAt: t.now, EndsAt: until})
	}
	slices.SortFunc(rows, func(a, b RateLimit) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return translate(t.db.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_at", "ends_at"}),
	}).Create(&rows).Error)
}

// forgetNetworks removes every known network of these names. It is called when a name gets a new
// owner and when a user is deleted: the network of the previous owner must not help to guess the
// password of the next one.
func forgetNetworks(tx *gorm.DB, names ...string) error {
	for _, name := range names {
		var last uuid.UUID
		first := knownNetworkID(name, "")
		copy(last[:], bytes.Repeat([]byte{0xff}, len(last)))
		copy(last[:8], first[:8])
		copy(first[8:], make([]byte, 8))
		result := tx.Where("id BETWEEN ? AND ? AND kind = ?", first, last, kindKnownNetwork).Delete(&RateLimit{})
		if result.Error != nil {
			return result.Error
		}
	}
	return nil
}
