package models

import "github.com/google/uuid"

// ID is a UUID. The database stores it as 16 bytes; see driver.go.
type ID = uuid.UUID
