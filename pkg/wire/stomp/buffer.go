package stomp

import "sync"

// Sizes of read buffers. A stream that fits in tinySize never touches the
// pools; ten thousand idle connections hold five megabytes.
const (
	tinySize  = 512
	pageSize  = 4 << 10
	blockSize = 16 << 10
)

var (
	pages  = sync.Pool{New: func() any { return new([pageSize]byte) }}
	blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}
)

// buffer holds the bytes received and not yet consumed. It grows only when it
// is full, so its size follows what a peer sent, not what it announced.
type buffer struct {
	tiny       [tinySize]byte
	large      []byte // nil while tiny is in use
	start, end int
}

func (b *buffer) space() []byte {
	if b.large != nil {
		return b.large
	}
	return b.tiny[:]
}

// bytes returns what is buffered, valid until the next call of room.
func (b *buffer) bytes() []byte { return b.space()[b.start:b.end] }

func (b *buffer) discard(n int) { b.start += n }

// room returns free space to read into. An empty buffer falls back to tiny:
// the peer may now be silent for hours.
func (b *buffer) room() []byte {
	space := b.space()
	switch {
	case b.start == b.end:
		b.release()
	case b.end < len(space):
	case b.large == nil || b.start < len(space)/2:
		// A tiny buffer filled to the brim means that more is waiting; one
		// page for it saves many small reads.
		b.grow()
	default:
		b.end = copy(space, space[b.start:b.end])
		b.start = 0
	}
	return b.space()[b.end:]
}

func (b *buffer) grow() {
	var next []byte
	switch size := len(b.space()); {
	case size < pageSize:
		next = pages.Get().(*[pageSize]byte)[:]
	case size < blockSize:
		next = blocks.Get().(*[blockSize]byte)[:]
	default:
		next = make([]byte, 2*size)
	}
	n := copy(next, b.bytes())
	b.release()
	b.large, b.end = next, n
}

// release empties the buffer and gives large memory away.
func (b *buffer) release() {
	switch len(b.large) {
	case pageSize:
		pages.Put((*[pageSize]byte)(b.large))
	case blockSize:
		blocks.Put((*[blockSize]byte)(b.large))
	}
	b.large, b.start, b.end = nil, 0, 0
}
