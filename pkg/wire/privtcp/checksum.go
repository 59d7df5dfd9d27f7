package privtcp

const upperDigits = "0123456789ABCDEF"

// Checksum tells what a frame is checked with. Its numbers are positions in the
// frame: for delimiter the frame before its delimiter, for marks what stands
// between the marks with the escapes undone, otherwise all of it. Negative ones
// count from the end.
type Checksum struct {
	Kind Sum

	// The sum is taken over the bytes From to To, the checksum's own left out
	// where they lie inside. A To of zero stands for the end.
	From, To int

	// At is where the checksum stands. Zero stands for the last bytes.
	At int

	LittleEndian bool

	// Hex is set where the checksum is written as text, two hexadecimal digits a
	// byte: upper case down, either up.
	Hex bool

	// Keep leaves the checksum in the payload; Append writes it over what stands
	// there. It must be set where the checksum is not last.
	Keep bool

	// AfterEnd is set where the checksum follows the end mark, never escaped. The
	// positions then count what stands between the marks, the end mark and the
	// checksum. For marks.
	AfterEnd bool
}

// size is the number of bytes that the checksum takes in a frame.
func (c *Checksum) size() int {
	if c.Hex {
		return 2 * c.Kind.width()
	}
	return c.Kind.width()
}

func (c *Checksum) last() bool { return c.At == 0 || c.At == -c.size() }

// place finds the checksum in a frame of n bytes, or tells that it is too short.
func (c *Checksum) place(n int) (from, to, at int, ok bool) {
	from, to, at = c.From, c.To, c.At
	if from < 0 {
		from += n
	}
	if to <= 0 {
		to += n
	}
	switch {
	case at == 0:
		at = n - c.size()
	case at < 0:
		at += n
	}
	return from, to, at, 0 <= from && from <= to && to <= n && 0 <= at && at+c.size() <= n
}

// sum is the checksum that the frame should have, and where.
func (c *Checksum) sum(frame []byte) (sum uint32, at int, ok bool) {
	from, to, at, ok := c.place(len(frame))
	if !ok {
		return 0, 0, false
	}
	state := c.Kind.initial()
	if from < at {
		state = c.Kind.update(state, frame[from:min(to, at)])
	}
	if behind := max(from, at+c.size()); behind < to {
		state = c.Kind.update(state, frame[behind:to])
	}
	return c.Kind.final(state), at, true
}

// right tells whether the frame has its checksum.
func (c *Checksum) right(frame []byte) bool {
	if c.size() == 0 {
		return true
	}
	sum, at, ok := c.sum(frame)
	if !ok {
		return false
	}
	for i := range c.Kind.width() {
		want := c.octet(sum, i)
		if !c.Hex {
			if frame[at+i] != want {
				return false
			}
			continue
		}
		high, low := digit(frame[at+2*i]), digit(frame[at+2*i+1])
		if high > 15 || low > 15 || high<<4|low != want {
			return false
		}
	}
	return true
}

// put writes the checksum into the frame, or tells that it is too short.
func (c *Checksum) put(frame []byte) bool {
	if c.size() == 0 {
		return true
	}
	sum, at, ok := c.sum(frame)
	if !ok {
		return false
	}
	for i := range c.Kind.width() {
		b := c.octet(sum, i)
		if c.Hex {
			frame[at+2*i], frame[at+2*i+1] = upperDigits[b>>4], upperDigits[b&15]
			continue
		}
		frame[at+i] = b
	}
	return true
}

// octet is the byte i of a sum as on the wire.
func (c *Checksum) octet(sum uint32, i int) byte {
	if !c.LittleEndian {
		i = c.Kind.width() - 1 - i
	}
	return byte(sum >> (8 * i))
}

// digit is the value of a hexadecimal digit, 16 if it is none.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
