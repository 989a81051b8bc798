package remote

// What the tests outside the package need to know.
const (
	MinInterval = minInterval
	UsualLife   = usualLife
	MinLife     = minLife
	MaxLife     = maxLife
	MaxStale    = maxStale
	MaxBody     = maxBody
)

var LifeOf = lifeOf
