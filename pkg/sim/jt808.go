package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"sluice/pkg/wire/jt808"
)

// JT808Options are those of a terminal.
type JT808Options struct {
	Phone string
	Code  string // for authentication; default "anonymous"
	Dial  func(ctx context.Context) (net.Conn, error)
}

// JT808 is a terminal of JT/T 808 (2013) that sends one message at a time and
// waits for its answer. It is not for several goroutines.
type JT808 struct {
	nc    net.Conn
	phone jt808.Phone
	split *jt808.Splitter
	buf   []byte
	rest  bool // the splitter may have more of the last chunk

	// Messages of the platform that are no answers.
	Commands []jt808.Frame
}

// ErrRefused: the platform answered with another result than 0.
var ErrRefused = errors.New("jt808: refused")

// DialJT808 connects and authenticates, 0x0102.
func DialJT808(ctx context.Context, o JT808Options) (*JT808, error) {
	phone, err := jt808.ParsePhone(o.Phone, false)
	if err != nil {
		return nil, err
	}
	nc, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	d := &JT808{nc: nc, phone: phone, split: jt808.NewSplitter(0), buf: make([]byte, 4096)}
	code := o.Code
	if code == "" {
		code = "anonymous"
	}
	if err := d.Report(ctx, 0x0102, 0, []byte(code)); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return d, nil
}

// Close ends the connection.
func (d *JT808) Close() error { return d.nc.Close() }

// Report sends a message and waits for the general response to it.
func (d *JT808) Report(ctx context.Context, id, serial uint16, body []byte) error {
	wire, err := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: id, Phone: d.phone, Serial: serial}, Body: body})
	if err != nil {
		return err
	}
	end := time.Now().Add(30 * time.Second)
	if at, ok := ctx.Deadline(); ok {
		end = at
	}
	if err := d.nc.SetDeadline(end); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.nc.SetDeadline(time.Now()) })
	defer stop()
	if _, err := d.nc.Write(wire); err != nil {
		return err
	}
	for {
		f, err := d.next()
		if err != nil {
			return err
		}
		if f.ID != 0x8001 || len(f.Body) != 5 {
			d.Commands = append(d.Commands, f)
			continue
		}
		if binary.BigEndian.Uint16(f.Body) != serial || binary.BigEndian.Uint16(f.Body[2:]) != id {
			continue // of an earlier connection's
		}
		if f.Body[4] != 0 {
			return fmt.Errorf("%w: 0x%04X with result %d", ErrRefused, id, f.Body[4])
		}
		return nil
	}
}

func (d *JT808) next() (jt808.Frame, error) {
	for {
		if d.rest {
			content, bad, ok := d.split.Next()
			switch {
			case !ok:
				d.rest = false
			case bad != nil:
				return jt808.Frame{}, bad
			default:
				return jt808.Parse(bytes.Clone(content))
			}
		}
		n, err := d.nc.Read(d.buf)
		if err != nil {
			return jt808.Frame{}, err
		}
		d.split.Feed(d.buf[:n])
		d.rest = true
	}
}

// JT808Location is the body of a location, 0x0200, with an odometer by which it is
// known.
func JT808Location(latitude, longitude, mileage uint32, at time.Time) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 40), 0)
	b = binary.BigEndian.AppendUint32(b, 3) // ACC on, positioned
	b = binary.BigEndian.AppendUint32(b, latitude)
	b = binary.BigEndian.AppendUint32(b, longitude)
	b = append(b, 0, 10, 2, 0, 0, 90)
	at = at.In(time.FixedZone("GMT+8", 8*3600))
	for _, n := range []int{at.Year() % 100, int(at.Month()), at.Day(), at.Hour(), at.Minute(), at.Second()} {
		b = append(b, byte(n/10<<4|n%10))
	}
	return binary.BigEndian.AppendUint32(append(b, 0x01, 4), mileage)
}
