package accounts

import "time"

// StandStill makes the service behave as if its process had just stood still for a period.
func (s *Service) StandStill(period time.Duration) {
	s.heartbeat.mu.Lock()
	defer s.heartbeat.mu.Unlock()
	s.heartbeat.last.monotonic -= period
	s.heartbeat.last.wall = s.heartbeat.last.wall.Add(-period)
}

// ChangeUser and DeleteUser are the writes of the operations on a user.
var (
	ChangeUser = changeUser
	DeleteUser = deleteUser
)
