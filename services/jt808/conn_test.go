package jt808

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/jt808"
)

func secret(r *rig) { r.conf.Proto.AuthSecret = "s3cret" }

func register(model int) []byte {
	body := append([]byte{0, 31, 0, 110}, make([]byte, 5+model+7)...)
	return append(body, append([]byte{1}, "A12345"...)...)
}

func TestRegisterAndAuthenticate(t *testing.T) {
	dialogue(t, func(r *rig) {
		n := r.send(0x0100, register(20))
		f := r.next()
		require.Equal(t, "0x8100", name(f.ID))
		require.Equal(t, r.phone, f.Phone)
		require.Equal(t, n, binary.BigEndian.Uint16(f.Body))
		require.EqualValues(t, 0, f.Body[2])
		code := f.Body[3:]
		require.Len(t, code, 24)
		r.general(r.send(0x0102, []byte("another")), 0x0102, resultFailure)
		require.Empty(t, r.door.Hellos(), "a wrong code is no matter for the door")
		r.general(r.send(0x0102, code), 0x0102, resultOK)
		h := r.door.Hellos()[0]
		require.Equal(t, "13912345678", h.ClientID)
		require.Equal(t, "2013", h.ProtoVer)
		require.True(t, h.Session && h.Commands && !h.Clean)
		require.NotContains(t, r.log.String(), string(code))
	}, secret)
}

// TestCodesAreBoundToThePhone: the code of one terminal does not let another in.
func TestCodesAreBoundToThePhone(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(0x0100, register(8))
		code := r.next().Body[3:]
		r.use("13900000000")
		r.general(r.send(0x0102, code), 0x0102, resultFailure)
	}, secret)
}

func TestTerminalsOfTheDatabase(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(0x0100, register(20))
		require.Equal(t, []byte{4}, r.next().Body[2:], "the operator gives codes out")
		r.door.Deny = api.Errorf(api.Denied, "connect", "not_authorized")
		r.general(r.send(0x0102, []byte("wrong")), 0x0102, resultFailure)
		r.door.Deny = nil
		r.general(r.send(0x0102, []byte("right")), 0x0102, resultOK)
		require.EqualValues(t, "right", r.door.Hellos()[1].Password)
		require.Equal(t, "13912345678", r.door.Hellos()[1].Username)
	}, func(r *rig) { r.conf.AllowAnonymous = false })
}

func TestEditionOf2019(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		require.Equal(t, "2019", r.door.Hellos()[0].ProtoVer)
		r.general(r.send(0x0200, location(1)), 0x0200, resultOK)
		require.Equal(t, "2019", c.Reports()[0].Form)
		r.send(0x0004, nil)
		f := r.next()
		require.Equal(t, "0x8004", name(f.ID))
		require.True(t, f.Versioned)
		require.EqualValues(t, 1, f.Version)
		require.Equal(t, "00000000013912345678", f.Phone.String())
		require.Equal(t, time.Now().UTC().Format("060102150405"), hexOf(f.Body))
	}, func(r *rig) { r.newest = true })
}

func hexOf(b []byte) (s string) {
	for _, c := range b {
		s += string([]byte{'0' + c>>4, '0' + c&15})
	}
	return s
}

func TestStrangers(t *testing.T) {
	dialogue(t, func(r *rig) {
		for range maxTries {
			r.general(r.send(0x0200, location(1)), 0x0200, resultFailure)
		}
		r.send(0x0200, location(1))
		r.ended(gateway.ErrProtocol)
		require.Empty(t, r.door.Hellos())
	})
	dialogue(t, func(r *rig) {
		start := time.Now()
		r.ended(gateway.ErrIdle)
		require.Equal(t, r.conf.IdleTimeout, time.Since(start))
	})
	dialogue(t, func(r *rig) { // junk without end
		b := make([]byte, 1024)
		for range strangerBudget / len(b) {
			r.write(b)
		}
		_, err := r.nc.Write(b)
		require.NoError(t, err)
		r.ended(gateway.ErrProtocol)
	})
}

// TestAnsweredWhenStored: not before, and not when it is not.
func TestAnsweredWhenStored(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		n := r.send(0x0200, location(7))
		r.quiet()
		reports := c.Reports()
		require.Len(t, reports, 1)
		require.Equal(t, "0200", reports[0].Kind)
		require.Equal(t, "jt808/13912345678/013912345678/up", reports[0].Topic)
		want, err := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: r.phone, Serial: n}, Body: location(7)})
		require.NoError(t, err)
		require.Equal(t, want, reports[0].Frame, "as it came")
		c.Ack(reports[0].Tag, nil)
		r.general(n, 0x0200, resultOK)

		r.send(0x0200, location(8))
		synctest.Wait()
		c.Ack(c.Reports()[1].Tag, api.Errorf(api.Unavailable, "report", "later"))
		r.quiet() // the terminal sends it again
		n = r.send(0x0200, location(9))
		synctest.Wait()
		c.Ack(c.Reports()[2].Tag, api.Errorf(api.TooLarge, "report", "no"))
		r.general(n, 0x0200, resultFailure)
	}, func(r *rig) { r.door.Manual = true })
}

// TestRepeatsAreSingle: the same frame has the same id, and no other has.
func TestRepeatsAreSingle(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		for i, body := range [][]byte{location(1), location(1), location(2)} {
			r.frame(jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: r.phone, Serial: 5}, Body: body})
			r.general(5, 0x0200, resultOK)
			require.Equal(t, i < 2, c.Reports()[i].ID == c.Reports()[0].ID)
		}
	})
}

func TestWhatIsWrong(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		r.write([]byte{0x7e, 1, 2, 0x7e}) // no header
		r.quiet()
		bad, err := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: r.phone, Serial: 77}, Body: location(1)})
		require.NoError(t, err)
		bad[20] ^= 1 // the check is wrong then
		r.write(bad)
		r.general(77, 0x0200, resultBad)
		require.Empty(t, c.Reports())
		r.general(r.send(0x0200, []byte("short")), 0x0200, resultBad)
		require.Len(t, c.Reports(), 1, "a body that we cannot read is kept all the same")
		other, err := jt808.ParsePhone("1", false)
		require.NoError(t, err)
		r.frame(jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: other}, Body: location(1)})
		r.quiet()
		require.Len(t, c.Reports(), 1, "one connection is one terminal")
		r.general(r.send(0x0F99, []byte("?")), 0x0F99, resultOK)
		require.Equal(t, "0f99", c.Reports()[1].Kind, "what we do not know is kept too")
	})
}

func TestHeartbeatsAndGoodbye(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		for range 3 {
			time.Sleep(r.conf.Keepalive - time.Second)
			r.general(r.send(0x0002, nil), 0x0002, resultOK)
		}
		require.Empty(t, c.Reports())
		r.general(r.send(0x0003, nil), 0x0003, resultOK)
		r.ended(nil)
	})
	dialogue(t, func(r *rig) {
		r.enter()
		start := time.Now()
		r.ended(gateway.ErrKeepalive)
		require.Equal(t, r.conf.Keepalive, time.Since(start))
	})
	dialogue(t, func(r *rig) {
		r.enter().Kick(gateway.ErrTakenOver)
		r.ended(gateway.ErrTakenOver)
	})
}

// TestPackets are stored and answered one by one; those that are missing are asked
// for, and a picture is acknowledged when it is whole.
func TestPackets(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		body := append(binary.BigEndian.AppendUint32(nil, 42), make([]byte, 3000)...)
		all, err := jt808.Packets(jt808.Header{ID: 0x0801, Phone: r.phone, Serial: 100}, body)
		require.NoError(t, err)
		require.Len(t, all, 3)
		r.frame(all[0])
		r.general(100, 0x0801, resultOK)
		r.frame(all[2])
		r.general(102, 0x0801, resultOK)
		time.Sleep(r.conf.Packets.Wait)
		f := r.next()
		require.Equal(t, "0x8003", name(f.ID))
		require.Equal(t, []byte{0, 100, 1, 0, 2}, f.Body)
		r.frame(all[1])
		r.general(101, 0x0801, resultOK)
		f = r.next()
		require.Equal(t, "0x8800", name(f.ID))
		require.Equal(t, []byte{0, 0, 0, 42}, f.Body)
		require.Len(t, c.Reports(), 3)
		time.Sleep(time.Minute)
		r.quiet()
	})
}

func order(c *gatewaytest.Client, seq uint64, text string) *gatewaytest.Outcome {
	in := gatewaytest.Text(text)
	in.Correlation = "order 7"
	return c.Deliver(api.MainQueue, "dn", in, gatewaytest.Numbered(seq, false, 1))
}

func TestCommands(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		text := order(c, 1, `{"header":{"msg_id":33536},"body":{"flag":1,"text":"你好"}}`)
		f := r.next()
		require.Equal(t, "0x8300", name(f.ID))
		require.Equal(t, []byte("\x01\xc4\xe3\xba\xc3"), f.Body)
		calls, _ := text.Result()
		require.Zero(t, calls, "the terminal has not answered")
		c.Resend(api.MainQueue, 1, 2)
		require.Equal(t, f, r.next(), "the same again")
		r.send(0x0001, append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, f.Serial), f.ID), 0))
		synctest.Wait()
		calls, err := text.Result()
		require.Equal(t, 1, calls)
		require.NoError(t, err)
		require.Equal(t, "order 7", c.Reports()[0].Correlation, "its sender hears of it")

		query := order(c, 2, `{"header":{"msg_id":33284}}`) // 0x8204 is of 2019
		synctest.Wait()
		_, err = query.Result()
		require.ErrorIs(t, err, gateway.ErrNack)
		query = order(c, 3, `{"header":{"msg_id":33281},"body":{}}`) // where are you?
		f = r.next()
		r.send(0x0201, append(binary.BigEndian.AppendUint16(nil, f.Serial), location(1)...))
		synctest.Wait()
		calls, err = query.Result()
		require.Equal(t, 1, calls)
		require.NoError(t, err)
		require.Equal(t, "order 7", c.Reports()[1].Correlation)
		r.quiet() // an answer is not answered

		big := order(c, 4, `{"header":{"msg_id":35072},"body":{"type":1,"data":"`+long(2000)+`"}}`)
		one, two := r.next(), r.next()
		require.EqualValues(t, 2, one.Total)
		require.Equal(t, one.Serial+1, two.Serial)
		r.send(0x0005, append(binary.BigEndian.AppendUint16(nil, one.Serial), 1, 0, 2))
		require.Equal(t, two, r.next())
		require.Equal(t, "0x8001", name(r.next().ID))
		_ = r.nc.Close()
		synctest.Wait()
		_, err = big.Result()
		require.ErrorIs(t, err, gateway.ErrClosed, "the next connection gets it")
	})
}

// long is the base64 of so many zeros, about.
func long(n int) string {
	b := make([]byte, n/3*4)
	for i := range b {
		b[i] = 'A'
	}
	return string(b)
}

func TestShutdown(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.enter()
		r.cancel(gateway.ErrShutdown)
		r.ended(gateway.ErrShutdown)
	})
}

// TestBackpressure: while too much is not stored, nothing more is read.
func TestBackpressure(t *testing.T) {
	dialogue(t, func(r *rig) {
		c := r.enter()
		wrote := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < 50 && err == nil; i++ {
				wire, _ := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: r.phone, Serial: uint16(i)}, Body: location(byte(i))})
				_, err = r.nc.Write(wire)
			}
			wrote <- err
		}()
		synctest.Wait()
		require.Len(t, c.Reports(), 3)
		_ = r.nc.Close()
		require.Error(t, <-wrote)
	}, func(r *rig) { r.door.Manual, r.door.Window = true, 3 })
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"max_packet_size":       func(c *Config) { c.MaxPacketSize = 1 },
		"keepalive":             func(c *Config) { c.Keepalive = 0 },
		"frame.string_encoding": func(c *Config) { c.Frame.StringEncoding = "big5" },
		"proto.edition":         func(c *Config) { c.Proto.Edition = "2019" },
		"proto.up_topic":        func(c *Config) { c.Proto.UpTopic = "a/#" },
		"proto.dn_topic":        func(c *Config) { c.Proto.DownTopic = "" },
		"packets":               func(c *Config) { c.Packets.Open = 0 },
		"mountpoint":            func(c *Config) { c.Mountpoint = "jt808/" },
	} {
		c := DefaultConfig()
		require.NoError(t, c.Validate())
		change(c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
