// Package stomp reads and writes frames of STOMP 1.0, 1.1 and 1.2.
//
// It is a codec and nothing more: it knows how a frame looks in each version
// of the protocol, not which frame may follow which. Client and server share
// it, so it takes the frames of both directions.
//
// # Versions
//
// Escaping and line ends depend on the version that CONNECT and CONNECTED
// negotiate. A [Reader] starts at [Unknown]; call [Reader.SetVersion] when the
// version is settled, before the next [Reader.Read]. Frames already received
// but not yet returned are parsed by the new version, as the peer meant them.
// CONNECT, STOMP and CONNECTED are never escaped, whatever the version.
//
// # Heart-beats
//
// Between frames a peer may send any number of EOLs; Read skips them without
// returning. A connection that watches for heart-beats wraps the net.Conn it
// gives to [NewReader] in an io.Reader that notes the time of each Read with
// n > 0: any byte counts as a sign of life, not only whole frames
// (STOMP 1.2 "Heart-beating").
//
// # Limits and errors
//
// [Limits] are enforced while reading: a frame that breaks one is refused
// after its first byte too many, and nothing is ever allocated on the word of
// a content-length header. Every refusal matches either [ErrSyntax] or
// [ErrTooLarge] as well as its own sentinel. The error texts are meant for the
// message header of an ERROR frame and never hold header values.
//
// # Memory
//
// A Reader waiting between frames holds 512 bytes of buffer, inside itself.
// Larger buffers come from a pool and go back as soon as the stream is idle.
// The names and values of a frame's headers share one string; clone a value
// that outlives its frame by long.
package stomp
