package outbox

// The following exports are for the tests.

var AddResetToken = addResetToken

var FinishedMail = withOutcome

var CounterOf = counters

const (
	LeaseTime    = leaseTime
	DeliveryTime = deliveryTime
)
