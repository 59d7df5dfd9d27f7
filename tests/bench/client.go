package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"
)

// client is a STOMP client that costs as little as it can, for it runs on the
// server's cores: frames end at NUL, since bodies here have none.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial connects and waits for CONNECTED. The buffer is for what comes at once.
func (o options) dial(buffer int) (*client, error) {
	conn, err := net.DialTimeout("tcp", o.addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReaderSize(conn, buffer)}
	login := ""
	if o.login != "" {
		login = "login:" + o.login + "\npasscode:" + o.passcode + "\n"
	}
	_, err = fmt.Fprintf(c, "CONNECT\naccept-version:1.2\nhost:%s\nheart-beat:0,0\n%s\n\x00", o.host, login)
	if err == nil {
		_, err = c.expect("CONNECTED")
	}
	if err != nil {
		_ = c.Close() // the first error says why
		return nil, err
	}
	return c, nil
}

// large is enough for a window of frames.
const large = 1 << 16

// expect reads one frame, which must be of this command; it is good until the next.
func (c *client) expect(command string) ([]byte, error) {
	f, err := c.in.ReadSlice(0)
	if err != nil {
		return nil, err
	}
	f = bytes.TrimLeft(f, "\r\n")
	if len(f) <= len(command) || string(f[:len(command)]) != command || f[len(command)] != '\n' {
		return nil, fmt.Errorf("want %s, got %q", command, f)
	}
	return f, nil
}

func (c *client) subscribe(dest string) error {
	if _, err := fmt.Fprintf(c, "SUBSCRIBE\nid:0\nreceipt:s\ndestination:%s\n\n\x00", dest); err != nil {
		return err
	}
	_, err := c.expect("RECEIPT")
	return err
}

// sender makes SEND frames.
type sender struct {
	head, tail []byte
}

const stampSize = 16 // at the end of a body

func (o options) sender(dest string) sender {
	head := "SEND\ndestination:" + dest + "\n"
	if o.persistent {
		head += "persistent:true\n"
	}
	body := append(bytes.Repeat([]byte("x"), o.size-stampSize), bytes.Repeat([]byte("."), stampSize)...)
	return sender{[]byte(head + "receipt:"), append(append([]byte("\n\n"), body...), 0)}
}

// append adds a SEND; its body ends with the time in nanoseconds, base 36.
func (s sender) append(b []byte, receipt int64, now time.Time) []byte {
	b = append(b, s.head...)
	b = strconv.AppendInt(b, receipt, 10)
	b = append(b, s.tail...)
	var space [stampSize]byte
	stamp := strconv.AppendInt(space[:0], now.UnixNano(), 36)
	copy(b[len(b)-1-len(stamp):], stamp)
	return b
}

// stamped is the time that a body of [sender.append] carries.
func stamped(frame []byte) (time.Time, error) {
	body := frame[:len(frame)-1]
	ns, err := strconv.ParseInt(string(body[bytes.LastIndexByte(body, '.')+1:]), 36, 64)
	return time.Unix(0, ns), err
}
