package listen

import (
	"context"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// openSockets binds as many sockets to one port as are wanted. The kernel gives
// each the datagrams of its share of the addresses.
func openSockets(c Config) (out []*net.UDPConn, err error) {
	defer func() {
		if err != nil {
			for _, s := range out {
				_ = s.Close()
			}
		}
	}()
	var lc net.ListenConfig
	if c.UDP.Sockets > 1 { // else a port that is taken would show nowhere
		lc.Control = sharePort
	}
	addr, err := net.ResolveUDPAddr("udp", c.Bind)
	if err != nil {
		return nil, err
	}
	for range c.UDP.Sockets {
		conn, err := lc.ListenPacket(context.Background(), "udp", addr.String())
		if err != nil {
			return out, err
		}
		pc := conn.(*net.UDPConn)
		out = append(out, pc)
		addr = pc.LocalAddr().(*net.UDPAddr) // port 0 was the first one's to choose
		// What the kernel refuses is no reason not to serve.
		if c.UDP.RecvBuffer > 0 {
			_ = pc.SetReadBuffer(c.UDP.RecvBuffer)
		}
		if c.UDP.SendBuffer > 0 {
			_ = pc.SetWriteBuffer(c.UDP.SendBuffer)
		}
	}
	return out, nil
}

func sharePort(_, _ string, c syscall.RawConn) error {
	var inner error
	err := c.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, inner)
}
