package accounts

// ChangeUser and DeleteUser are the writes of the operations on a user.
var (
	ChangeUser = changeUser
	DeleteUser = deleteUser
)
