package outbox

// The following exports are for the tests.

var AddResetToken = addResetToken

var FinishedMail = finished

var CounterOf = counters
