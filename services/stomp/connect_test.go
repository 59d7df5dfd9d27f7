package stomp

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

func TestConnectNegotiatesVersion(t *testing.T) {
	for accept, want := range map[string]string{"": "1.0", "1.0": "1.0", "1.0,1.1": "1.1", "1.2,1.1,1.0": "1.2", "1.1, 1.2, 2.0": "1.2"} {
		for _, command := range []string{stomp.CmdConnect, stomp.CmdStomp} {
			dialogue(t, func(r *rig) {
				headers := []string{"login", "u:1", "passcode", "p", "client-id", "car"}
				if accept != "" {
					headers = append(headers, "accept-version", accept)
				}
				r.send(command, headers...)
				f := r.next()
				require.Equal(r, stomp.CmdConnected, f.Command)
				require.Equal(r, want, f.Get("version"))
				require.Contains(r, f.Get("session"), "car")
				require.Contains(r, f.Get("server"), "sluice/")
				h := r.door.Hellos()[0]
				require.Equal(r, "STOMP "+want, h.ProtoName+" "+h.ProtoVer)
				require.Equal(r, "u:1", h.Username)
				require.Equal(r, api.Password("p"), h.Password)
				require.Equal(r, "car", h.ClientID)
				require.Equal(r, "192.0.2.1:4000", h.Peer)
				require.False(r, h.Clean)
				v, ok := h.Packet("headers.login")
				require.True(r, ok)
				require.Equal(r, "u:1", v)
				_, ok = h.Packet("login")
				require.False(r, ok)
			})
		}
	}
}

func TestConnectWithoutClientID(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		h := r.door.Hellos()[0]
		require.True(r, h.Clean)
		require.Empty(r, h.ClientID)
	})
}

func TestConnectNoCommonVersion(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect, "accept-version", "3.0")
		f := r.refused("Supported protocol versions are 1.0 1.1 1.2")
		require.Equal(r, "1.0,1.1,1.2", f.Get("version"))
		require.Empty(r, r.door.Hellos())
	})
}

func TestConnectHost(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect, "accept-version", "1.2")
		require.Equal(r, stomp.CmdConnected, r.next().Command)
	})
	strict := func(r *rig) { r.conf.RequireHost = true }
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect, "accept-version", "1.2")
		r.refused("needs a header host")
	}, strict)
	dialogue(t, func(r *rig) { r.connect("1.0") }, strict)
	dialogue(t, func(r *rig) { r.connect("1.1") }, strict)
}

func TestConnectDenied(t *testing.T) {
	for err, text := range map[error]string{
		api.Errorf(api.Denied, "connect", "not_authorized"):               "Login Failed: not_authorized",
		api.Errorf(api.Unavailable, "connect", "try later"):               "Login Failed: try later",
		api.Wrap(api.Internal, "connect", "the secret cause", nil):        "Login Failed: internal error",
		api.Errorf(api.Denied, "connect", "%w", gateway.ErrBanned):        "Login Failed: banned",
		api.Errorf(api.Conflict, "connect", "somebody else has it %d", 1): "Login Failed: somebody else",
	} {
		dialogue(t, func(r *rig) {
			r.send(stomp.CmdConnect, "accept-version", "1.2", "host", "h")
			f := r.refused(text)
			require.NotContains(r, string(f.Body), "secret")
		}, func(r *rig) { r.door.Deny = err })
	}
}

func TestConnectAuthTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		start := time.Now()
		r.send(stomp.CmdConnect)
		r.refused("Login Failed: authentication took too long")
		require.Equal(r, r.conf.AuthTimeout+linger, time.Since(start))
	}, func(r *rig) { r.door.Block = true })
}

func TestConnectHoldsFramesBack(t *testing.T) {
	dialogue(t, func(r *rig) {
		go r.raw("CONNECT\naccept-version:1.2\nhost:h\n\n\x00SEND\ndestination:a\\cb\nreceipt:1\n\nx\x00")
		time.Sleep(time.Second)
		require.Nil(r, r.client())
		require.Equal(r, stomp.CmdConnected, r.next().Command)
		r.receipt("1")
		require.Equal(r, "a:b", r.client().Published()[0].Topic, "parsed by the negotiated version")
	}, func(r *rig) { r.door.Delay = 2 * time.Second })
}

func TestSecondConnect(t *testing.T) {
	for _, command := range []string{stomp.CmdConnect, stomp.CmdStomp} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.send(command, "accept-version", "1.2", "host", "h")
			r.refused("connected already")
			require.Len(r, r.door.Hellos(), 1)
			_, reason := r.client().Closed()
			require.ErrorIs(r, reason, gateway.ErrProtocol)
		})
	}
}

// CVE-2023-32081, emqx #17507.
func TestNothingBeforeConnect(t *testing.T) {
	for _, f := range []stomp.Frame{
		frame(stomp.CmdSend, "destination", "a"), frame(stomp.CmdSend, "destination", "a", "transaction", "t"),
		frame(stomp.CmdSubscribe, "destination", "a", "id", "1"), frame(stomp.CmdUnsubscribe, "id", "1"),
		frame(stomp.CmdBegin, "transaction", "t"), frame(stomp.CmdCommit, "transaction", "t"), frame(stomp.CmdAbort, "transaction", "t"),
		frame(stomp.CmdAck, "id", "1"), frame(stomp.CmdNack, "id", "1"), frame(stomp.CmdDisconnect),
		frame(stomp.CmdConnected), frame(stomp.CmdMessage), frame(stomp.CmdReceipt), frame(stomp.CmdError),
	} {
		dialogue(t, func(r *rig) {
			f.Headers = append(f.Headers, stomp.Header{Name: "receipt", Value: "9"})
			r.raw(r.encode(f))
			require.Equal(r, "9", r.refused("Not connected").Get("receipt-id"))
			require.Empty(r, r.door.Hellos())
		})
	}
}

func TestServerFramesFromClient(t *testing.T) {
	for _, command := range []string{stomp.CmdConnected, stomp.CmdMessage, stomp.CmdReceipt, stomp.CmdError} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.send(command)
			r.refused("not for clients")
		})
	}
}

func TestEOLsBeforeConnect(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.raw("\n\r\n\n")
		r.connect("1.2")
	})
}

func TestBudgetBytes(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.raw(strings.Repeat("\n", connectBudget))
		r.raw("\n")
		r.refused("too many bytes before CONNECT")
	})
	dialogue(t, func(r *rig) { // a whole connection may take more
		r.connect("1.2")
		for range 3 {
			r.publish(strings.Repeat("x", 8000), "destination", "a", "receipt", "1")
			r.receipt("1")
		}
	})
}

func TestBudgetSeconds(t *testing.T) {
	dialogue(t, func(r *rig) {
		start := time.Now()
		r.raw("CONNECT\naccept-ver") // half a frame, and EOLs do not help
		r.refused("no CONNECT in time")
		require.Equal(r, r.conf.IdleTimeout+linger, time.Since(start))
	})
}

func TestConnectedConnectionMayBeSilent(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		r.publish("x", "destination", "a", "receipt", "1")
		r.receipt("1")
	})
}

func TestPasscodeIsInNoLog(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect, "accept-version", "1.2", "host", "h", "login", "u", "passcode", "hush-hush")
		r.next()
		r.send(stomp.CmdConnect, "passcode", "hush-hush")
		f := r.refused("connected already")
		require.Contains(r, r.log.String(), "device connected")
		require.NotContains(r, r.log.String()+string(f.Body), "hush")
	})
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect, "login", "u", "passcode", "hush-hush")
		r.refused("Login Failed")
		require.NotContains(r, r.log.String(), "hush")
	}, func(r *rig) { r.door.Deny = api.Errorf(api.Denied, "connect", "not_authorized") })
}

// The device is gone before the door has answered: the client must not stay.
func TestHangUpWhileJoining(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.send(stomp.CmdConnect)
		synctest.Wait()
		r.cancel(gateway.ErrShutdown)
		r.refused("server is shutting down")
		require.Nil(r, r.client())
	}, func(r *rig) { r.door.Block = true })
}
