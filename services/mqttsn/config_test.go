package mqttsn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
)

func decode(t *testing.T, text string) (*Config, error) {
	t.Helper()
	n, err := config.Parse("test.conf", []byte(text))
	require.NoError(t, err)
	c, err := Kind().Decode(n)
	if err != nil {
		return nil, err
	}
	return c.(*Config), nil
}

func TestConfigOfTheSeed(t *testing.T) {
	c, err := decode(t, `
gateway_id: 3
broadcast { enable: true, address: "192.0.2.255:1884", interval: "20m" }
enable_qos3: false
subs_resume: true
predefined: [ { id: 1, topic: "a/b" }, { id: 1024, topic: "c" } ]
mountpoint: "iot/sn/"
max_topics: 10
max_payload: 1KB
allow_empty_clientid: true
listener.udp.default.bind: "127.0.0.1:1884"
`)
	require.NoError(t, err)
	require.Equal(t, Broadcast{true, "192.0.2.255:1884", 20 * time.Minute}, c.Broadcast)
	require.Equal(t, 3, c.GatewayID)
	require.True(t, c.SubsResume && c.AllowEmptyClientID && !c.EnableQoS3)
	require.Equal(t, config.Size(1024), c.MaxPayload)
	require.Equal(t, "c", newPredefined(c.Predefined).names[1024])
	require.Equal(t, uint16(1), newPredefined(c.Predefined).ids["a/b"])
	require.Equal(t, 1, c.QueueWindow)
}

func TestConfigIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		`gateway_id: 256`:                                              "gateway_id: must be from 0 to 255",
		`max_topics: 0`:                                                "max_topics: must be from 1 to 64510",
		`max_payload: 1MB`:                                             "max_payload: must be from 1 to 65507",
		`queue_window: 65`:                                             "queue_window: must be from 1 to 64",
		`qos3_clientid: ""`:                                            "qos3_clientid: must not be empty",
		`broadcast { enable: true, address: x }`:                       "broadcast.address: must be ip:port",
		`broadcast { enable: true, interval: "24h" }`:                  "broadcast.interval: must be from 1 to 65535",
		`predefined: [ { id: 0, topic: "a" } ]`:                        "predefined[0].id: must be from 1 to 1024",
		`predefined: [ { id: 1025, topic: "a" } ]`:                     "predefined[0].id: must be from 1 to 1024",
		`predefined: [ { id: 1, topic: "a" }, { id: 1, topic: "b" } ]`: "predefined[1].id: 1 is given twice",
		`predefined: [ { id: 1, topic: "a" }, { id: 2, topic: "a" } ]`: "predefined[1].topic: \"a\" is given twice",
		`predefined: [ { id: 1, topic: "a/#" } ]`:                      "predefined[0].topic: wildcard",
		`listener.tcp.default.bind: "127.0.0.1:1"`:                     "listener.tcp",
	} {
		_, err := decode(t, text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestDevelopmentAndDefaults(t *testing.T) {
	c, err := decode(t, Kind().Development)
	require.NoError(t, err)
	require.True(t, c.AllowAnonymous)
	require.Equal(t, "127.0.0.1:1884", c.Listener["udp"]["default"].Bind)
	require.NoError(t, DefaultConfig().Validate())
	require.NotNil(t, c.Edge().Packets)
	require.Nil(t, c.Edge().Stream)
	var _ gateway.Config = c
	frames := Kind().Frames
	require.Len(t, frames, 28)
	require.NotContains(t, frames, "")
}
