package jt808

import (
	"errors"
	"fmt"
)

// Why a frame is refused.
var (
	ErrShort   = errors.New("jt808: frame is too short for its header")
	ErrEscape  = errors.New("jt808: 7D is followed by neither 01 nor 02")
	ErrCheck   = errors.New("jt808: check byte is wrong")
	ErrLength  = errors.New("jt808: length in the header is not that of the body")
	ErrPhone   = errors.New("jt808: phone has too many digits, or something else than digits")
	ErrPacket  = errors.New("jt808: packet number is 0 or above the number of packets")
	ErrTooLong = errors.New("jt808: longer than allowed")
)

// FrameError is a frame that is refused although its header could be read: the
// platform answers such a one with result 2 (§5.1).
type FrameError struct {
	Header Header
	Err    error
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("%v (message 0x%04X, serial number %d)", e.Err, e.Header.ID, e.Header.Serial)
}

func (e *FrameError) Unwrap() error { return e.Err }
