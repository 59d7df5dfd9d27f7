package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/api.golden.json anew")

var (
	at  = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	key = ClientKey{"stomp", "default", "car-7"}
)

// records are one of each, with every field set, and again with none.
func records() map[string]any {
	rule := Rule{"allow", "publish", "a/${clientid}"}
	listener := ListenerStatus{"stomp:tcp:default", "tcp", "default", "127.0.0.1:61613", true, 1024, 7}
	status := InstanceStatus{"stomp", "default", "n1", "running", "why", at, []ListenerStatus{listener}}
	info := ClientInfo{
		ClientKey: key, Node: "n1", Epoch: 3, Listener: "stomp:tcp:default", Username: "u", Mountpoint: "iot/", ProtoName: "STOMP", ProtoVer: "1.2", Peer: "10.0.0.1:5",
		Keepalive: 10, CleanStart: true, Connected: true, ConnectedAt: at,
		Subscriptions: []SubscriptionInfo{{"s1", "a/#", 1, true, true}}, Stats: ClientStats{1, 2, 3, 4, 5, 6},
	}
	retx, leave := Retx{time.Second, 3}, Leave{[]byte("state"), time.Hour}
	filters := map[string]Filter{"a/#": {1, []string{"iot.a", "iot.a.>"}}}
	will := &Will{"iot.w", map[string]string{"Gw-Client": "car-7"}, []byte("gone"), true}
	return map[string]any{
		"AuthRequest":        AuthRequest{key, "stomp:tcp:default", "10.0.0.1:5", "u", "hunter2", "cn", true},
		"AuthResponse":       AuthResponse{true, "r", true, at, map[string]string{"a": "b"}, []Rule{rule}},
		"User":               User{"u", "$argon2id$", true, []Rule{rule}},
		"Ban":                Ban{"clientid", "car-7", "admin", "r", at, at},
		"Owner":              Owner{"n1", "lease", "10.0.0.1:5", at},
		"ClientInfo":         info,
		"Event":              Event{key, EventConnected, "n1", at, 3, "u", "10.0.0.1:5", "stomp:tcp:default", "1.2", "a/b", "r", 7, 9, "id", 2},
		"InstanceStatus":     status,
		"Gateway":            Gateway{"stomp.default", "stomp", "default", "running", at, at, 1024, 7, []InstanceStatus{status}, map[string]any{"mountpoint": "iot/"}},
		"ListRequest":        ListRequest{"stomp", "c", "l", "u", "n1", 10, "after"},
		"ListResponse":       ListResponse{[]ClientInfo{info}, "next", 1, []string{"n2"}},
		"KickRequest":        KickRequest{"stomp.default", "car-7", "r"},
		"NodeLease":          NodeLease{"n1", "lease", []string{"stomp"}, "v1", at},
		"SubscribeRequest":   SubscribeRequest{key, "s1", []string{"iot.a.>"}, "n1", 3, 8, retx, "a/#", 1, time.Hour},
		"UnsubscribeRequest": UnsubscribeRequest{key, "s1", 3, true, "a/#", leave},
		"OpenRequest":        OpenRequest{key, "n1", 3, true, true, 8, retx, true, time.Hour},
		"OpenResponse":       OpenResponse{true, filters, []byte("state"), true},
		"SleepRequest":       SleepRequest{key, "n1", 3, time.Minute, true, filters, will, leave},
		"Session": Session{
			key, Asleep, "n1", 3, at, time.Minute, time.Hour, true, []byte("state"), will,
			map[string]DurableSub{"s1": {[]string{"iot.a.>"}, filters, 17, true, 8, retx}},
		},

		"AuthResponse empty": AuthResponse{}, "User empty": User{}, "Ban empty": Ban{}, "Owner empty": Owner{}, "ClientInfo empty": ClientInfo{}, "Event empty": Event{},
		"InstanceStatus empty": InstanceStatus{}, "Gateway empty": Gateway{}, "ListRequest empty": ListRequest{}, "ListResponse empty": ListResponse{},
		"KickRequest empty": KickRequest{}, "Session empty": Session{}, "UnsubscribeRequest empty": UnsubscribeRequest{},
	}
}

// Records outlive the program that wrote them, and processes of two versions
// talk to each other: what stands here may only grow.
func TestJSONIsStable(t *testing.T) {
	got, err := json.MarshalIndent(records(), "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	const file = "testdata/api.golden.json"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func roundTrip[T any](t *testing.T, in any) {
	t.Helper()
	b, err := json.Marshal(in)
	require.NoError(t, err)
	var out T
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, any(out))
}

func TestJSONRoundTrip(t *testing.T) {
	r := records()
	roundTrip[AuthRequest](t, r["AuthRequest"])
	roundTrip[AuthResponse](t, r["AuthResponse"])
	roundTrip[User](t, r["User"])
	roundTrip[Ban](t, r["Ban"])
	roundTrip[Owner](t, r["Owner"])
	roundTrip[ClientInfo](t, r["ClientInfo"])
	roundTrip[Event](t, r["Event"])
	roundTrip[Gateway](t, r["Gateway"])
	roundTrip[ListRequest](t, r["ListRequest"])
	roundTrip[ListResponse](t, r["ListResponse"])
	roundTrip[NodeLease](t, r["NodeLease"])
	roundTrip[SubscribeRequest](t, r["SubscribeRequest"])
	roundTrip[OpenRequest](t, r["OpenRequest"])
	roundTrip[OpenResponse](t, r["OpenResponse"])
	roundTrip[UnsubscribeRequest](t, r["UnsubscribeRequest"])
	roundTrip[SleepRequest](t, r["SleepRequest"])
	roundTrip[Session](t, r["Session"])
	roundTrip[Session](t, r["Session empty"])
}

// The password is in the request's JSON, which authn needs, and nowhere else.
func TestPasswordNeverPrinted(t *testing.T) {
	req := records()["AuthRequest"].(AuthRequest)
	b, err := json.Marshal(req)
	require.NoError(t, err)
	require.Contains(t, string(b), `"password":"hunter2"`)
	for name, v := range map[string]any{"password": req.Password, "request": req, "pointer": &req, "list": []AuthRequest{req}, "map": map[string]Password{"p": req.Password}} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%20s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		if name != "list" && name != "map" { // a JSON log of these is JSON: nobody logs them
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		}
		require.NotContains(t, out.String(), "hunter2", name)
		require.NotContains(t, out.String(), "68756e74657232", name)
		require.Contains(t, out.String(), "***", name)
	}
}
