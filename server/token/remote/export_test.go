package remote

// Internals that the tests outside the package need.
const (
	MinInterval = minInterval
	UsualLife   = usualLife
	MinLife     = minLife
	MaxLife     = maxLife
	MaxStale    = maxStale
	MaxBody     = maxBody
)

var LifeOf = cacheLife
