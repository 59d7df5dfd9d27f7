package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"
)

// client is a STOMP client that costs as little as it can: frames end at NUL,
// since bodies here have none.
type client struct {
	net.Conn
	in *bufio.Reader
}

func (o options) dial() (*client, error) {
	conn, err := net.DialTimeout("tcp", o.addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReaderSize(conn, 1<<16)}
	login := ""
	if o.login != "" {
		login = "login:" + o.login + "\npasscode:" + o.passcode + "\n"
	}
	_, err = fmt.Fprintf(c, "CONNECT\naccept-version:1.2\nhost:%s\nheart-beat:0,0\n%s\n\x00", o.host, login)
	if err != nil {
		return nil, err
	}
	return c, c.expect("CONNECTED")
}

// frame reads one frame; the slice is good until the next.
func (c *client) frame() ([]byte, error) {
	b, err := c.in.ReadSlice(0)
	return bytes.TrimLeft(b, "\r\n"), err
}

func (c *client) expect(command string) error {
	f, err := c.frame()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(f, []byte(command+"\n")) {
		return fmt.Errorf("want %s, got %q", command, f)
	}
	return nil
}

func (c *client) subscribe(dest string) error {
	if _, err := fmt.Fprintf(c, "SUBSCRIBE\nid:0\nreceipt:s\ndestination:%s\n\n\x00", dest); err != nil {
		return err
	}
	return c.expect("RECEIPT")
}

// sender makes SEND frames.
type sender struct {
	head, tail []byte
}

func (o options) sender(dest string) sender {
	head := "SEND\ndestination:" + dest + "\n"
	if o.persistent {
		head += "persistent:true\n"
	}
	return sender{[]byte(head + "receipt:"), append([]byte("\n\n"), append(bytes.Repeat([]byte("x"), o.size-16), "................\x00"...)...)}
}

// append adds a SEND; its body ends with the time in nanoseconds, base 36.
func (s sender) append(b []byte, receipt int64) []byte {
	b = append(b, s.head...)
	b = strconv.AppendInt(b, receipt, 10)
	b = append(b, s.tail...)
	stamp := strconv.AppendInt(nil, time.Now().UnixNano(), 36)
	copy(b[len(b)-1-len(stamp):], stamp)
	return b
}

// stamped is the time that a body of [sender.append] carries.
func stamped(frame []byte) time.Time {
	body := frame[:len(frame)-1]
	text := body[bytes.LastIndexByte(body, '.')+1:]
	ns, err := strconv.ParseInt(string(text), 36, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
