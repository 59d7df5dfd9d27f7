package stomp

// What the zero Limits stand for. The numbers of headers and header bytes are
// those of EMQX's STOMP gateway.
const (
	DefaultMaxHeaders      = 10
	DefaultMaxHeaderLength = 1024
	DefaultMaxBodyLength   = 8192
)

// limitCeiling keeps sums of limits far from overflow.
const limitCeiling = 1 << 30

// Limits bound what a peer may send in one frame (STOMP 1.2 "Size Limits").
// A field that is zero or negative stands for its default.
type Limits struct {
	MaxHeaders      int // header lines, content-length and repeated ones included
	MaxHeaderLength int // bytes of name and value of one line as on the wire: before unescaping, without colon and EOL
	MaxBodyLength   int // bytes of body, also of a body that is dropped
}

// DefaultLimits returns the limits that the zero Limits stand for.
func DefaultLimits() Limits {
	return Limits{}.withDefaults()
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxHeaders:      orDefault(l.MaxHeaders, DefaultMaxHeaders),
		MaxHeaderLength: orDefault(l.MaxHeaderLength, DefaultMaxHeaderLength),
		MaxBodyLength:   orDefault(l.MaxBodyLength, DefaultMaxBodyLength),
	}
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return min(n, limitCeiling)
}
