package listen

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Broadcast sends one datagram from the listener's own address to a broadcast or
// multicast address: who hears it knows where the listener is. A dtls listener
// has nothing to say in the clear.
func (l *Packets) Broadcast(to *net.UDPAddr, b []byte) error {
	if l.state.Load().conf.Type != UDP {
		return fmt.Errorf("listen: %s has no broadcast", l.id)
	}
	raw, err := l.sockets[0].SyscallConn()
	if err != nil {
		return fmt.Errorf("listen: broadcast: %w", err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
	if err = errors.Join(err, inner); err == nil {
		_, err = l.sockets[0].WriteToUDP(b, to)
	}
	if err != nil {
		return fmt.Errorf("listen: broadcast: %w", err)
	}
	return nil
}
