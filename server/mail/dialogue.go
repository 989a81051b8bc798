package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"time"
)

// dialogue is the delivery of one message on a connection. It consists of steps. After a step has
// failed, no further step is executed.
type dialogue struct {
	*connection
	ctx   context.Context
	stop  func() bool   // stops watching ctx, and returns false if its end has closed the connection
	step  time.Duration // the maximum time for an answer
	final bool          // from here on, a 5xx answer is about the recipient or the message
	err   error
}

// newDialogue begins a dialogue. Each step may take as long as the argument step. ctx limits the
// whole dialogue: when ctx ends, the connection is closed.
func newDialogue(ctx context.Context, c *connection, step time.Duration) *dialogue {
	return &dialogue{connection: c, ctx: ctx, step: step, stop: context.AfterFunc(ctx, c.close)}
}

func (d *dialogue) do(name string, step func() error) {
	if d.err != nil {
		return
	}
	_ = d.net.SetDeadline(time.Now().Add(d.step)) // fails only on a closed connection, where the step fails as well
	if err := step(); err != nil {
		d.err = describeFailure(d.ctx, name, err)
		if d.final && isRejection(err) {
			d.err = permanentError(d.err.Error())
		}
	}
}

// removeDeadline removes the deadline of the current step, which is then limited only by the
// context.
func (d *dialogue) removeDeadline() { _ = d.net.SetDeadline(time.Time{}) }

// ownError is an error of this package that contains nothing confidential.
type ownError string

func (p ownError) Error() string { return string(p) }

// isRejection reports whether the server rejected the recipient or the message. It returns false
// for 530, 535 and 538, which reject the client: they require a login or a stronger one (RFC 4954,
// 6).
func isRejection(err error) bool {
	var answer *textproto.Error
	return errors.As(err, &answer) && answer.Code >= 500 && answer.Code <= 599 &&
		answer.Code != 530 && answer.Code != 535 && answer.Code != 538
}

// describeFailure describes err in this package's own words, because err may contain text from the
// server.
func describeFailure(ctx context.Context, step string, err error) error {
	var (
		answer      *textproto.Error
		own         ownError
		record      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
		network     *net.OpError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("mail: %s: the server answered %d%s", step, answer.Code, enhancedCode(answer.Msg))
	case ctx.Err() != nil: // the context caused the failure, because its end closes the connection
		return fmt.Errorf("mail: %s: %w", step, ctx.Err())
	case errors.As(err, &own):
		return fmt.Errorf("mail: %s: %w", step, own)
	case errors.As(err, &certificate):
		return fmt.Errorf("mail: %s: %w", step, certificate)
	case errors.As(err, &record):
		return fmt.Errorf("mail: %s: the server does not use TLS on this port", step)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("mail: %s: %w", step, context.DeadlineExceeded)
	case errors.As(err, &network):
		return fmt.Errorf("mail: %s: %w", step, network)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("mail: %s: the server closed the connection", step)
	}
	return fmt.Errorf("mail: %s failed", step)
}

// enhancedCode returns the status code of RFC 3463 at the beginning of an answer, such as " 5.1.1",
// or "".
func enhancedCode(text string) string {
	var class, subject, detail uint16
	if n, _ := fmt.Sscanf(text, "%1d.%3d.%3d", &class, &subject, &detail); n != 3 {
		return ""
	}
	return fmt.Sprintf(" %d.%d.%d", class, subject, detail)
}
