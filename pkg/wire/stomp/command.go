package stomp

// The commands (STOMP 1.2 "Augmented BNF"). STOMP and NACK came with 1.1; the
// codec takes every command in every version and leaves it to the connection
// to refuse a verb its version lacks.
const (
	CmdConnect     = "CONNECT"
	CmdStomp       = "STOMP"
	CmdSend        = "SEND"
	CmdSubscribe   = "SUBSCRIBE"
	CmdUnsubscribe = "UNSUBSCRIBE"
	CmdBegin       = "BEGIN"
	CmdCommit      = "COMMIT"
	CmdAbort       = "ABORT"
	CmdAck         = "ACK"
	CmdNack        = "NACK"
	CmdDisconnect  = "DISCONNECT"

	CmdConnected = "CONNECTED"
	CmdMessage   = "MESSAGE"
	CmdReceipt   = "RECEIPT"
	CmdError     = "ERROR"
)

// maxCommandLength is the length of UNSUBSCRIBE. A longer command line is
// refused without reading to its end.
const maxCommandLength = len(CmdUnsubscribe)

// The two headers the codec itself looks at.
const (
	headerContentLength = "content-length"
	headerPasscode      = "passcode"
)

// knownCommand returns the constant equal to b, or "". Returning the constant
// spares a string for each frame.
func knownCommand(b []byte) string {
	for _, cmd := range [...]string{
		CmdSend, CmdAck, CmdMessage, CmdReceipt, CmdNack, CmdSubscribe,
		CmdUnsubscribe, CmdBegin, CmdCommit, CmdAbort, CmdConnect, CmdStomp,
		CmdConnected, CmdDisconnect, CmdError,
	} {
		if string(b) == cmd {
			return cmd
		}
	}
	return ""
}

// opensConnection tells the frames whose headers are never escaped, for the
// sake of 1.0 peers (STOMP 1.2 "Value Encoding").
func opensConnection(cmd string) bool {
	return cmd == CmdConnect || cmd == CmdStomp || cmd == CmdConnected
}

// mayHaveBody tells the frames that may carry a body (STOMP 1.2 "Body").
func mayHaveBody(cmd string) bool {
	return cmd == CmdSend || cmd == CmdMessage || cmd == CmdError
}
