package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/services/stomp"
)

// sluice runs the program and returns its exit code and what it printed.
func sluice(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), append([]string{"sluice"}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.conf")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"version":             {0, "sluice dev"},
		"help":                {0, "check-config"},
		"run --help":          {0, "Services: authn, session, translator, management, stomp"},
		"nosuch":              {2, "nosuch"},
		"--nosuch":            {2, "-nosuch"},
		"run --nosuch":        {2, "see sluice run --help"},
		"run --nats-port x":   {2, "invalid value"},
		"run --nats-port 0":   {2, "nats.port: must be"},
		"run --log-level x":   {2, "log.level: \"x\" is not"},
		"run --log-format x":  {2, "log.format"},
		"run nosuch":          {2, `unknown service "nosuch"; known are authn, session, translator, management, stomp`},
		"run stomp nosuch":    {2, `unknown service "nosuch"`},
		"run --config /none":  {1, "/none: no such file"},
		"check-config":        {2, "give one FILE"},
		"check-config a b":    {2, "give one FILE"},
		"check-config /none":  {1, "/none: no such file"},
		"tap":                 {2, "tap needs a filter"},
		"decode nosuch":       {2, "nosuch"},
		"decode stomp --no x": {2, "see sluice decode stomp --help"},
	} {
		code, stdout, stderr := sluice(t, "", strings.Fields(args)...)
		require.Equal(t, want.code, code, args)
		text, other := stdout, stderr
		if code != 0 {
			text, other = stderr, stdout
			require.True(t, strings.HasPrefix(stderr, "sluice: "), stderr)
		}
		require.Contains(t, text, want.text, args)
		require.Empty(t, other, "%s: one of stdout and stderr", args)
	}
}

func TestCheckConfig(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing": {"", "GW_DATA keeps iot.>\nok\n"},
		"two instances": {`
gateway {
  stomp.a { listener.tcp.x.bind: "127.0.0.1:1000", listener.ws.y.bind: "127.0.0.1:1001" }
  stomp.b { mountpoint: "plant/${username}/", listener.tcp.default { bind: "127.0.0.2:1000" } }
}`, "stomp.a: tcp.x on 127.0.0.1:1000\nstomp.a: ws.y on 127.0.0.1:1001\nstomp.b: tcp.default on 127.0.0.2:1000\nGW_DATA keeps iot.> plant.>\nok\n"},
		"no listener":         {"gateway.stomp.a.enable: true", "stomp.a: no listener is enabled\nGW_DATA keeps iot.>\nok\n"},
		"disabled":            {"gateway.stomp.a { enable: false, listener.tcp.x.bind: \":1\" }", "stomp.a: no listener is enabled\nGW_DATA keeps iot.>\nok\n"},
		"only a port":         {"gateway.stomp.a.listener.tcp.x.bind: \"1000\"", "stomp.a: tcp.x on :1000\nGW_DATA keeps iot.>\nok\n"},
		"variable mountpoint": {"data.roots: [\"tenants.>\"]\ngateway.stomp.a.mountpoint: \"${username}/\"", "stomp.a: no listener is enabled\nGW_DATA keeps tenants.>\nok\n"},
		"nested roots":        {"data.roots: [\"iot.a.>\"]\ngateway.stomp.a.mountpoint: \"iot/b/\"\ngateway.stomp.b.mountpoint: \"iot/\"", "stomp.a: no listener is enabled\nstomp.b: no listener is enabled\nGW_DATA keeps iot.>\nok\n"},
		"listener mountpoint": {"gateway.stomp.a.listener.tcp.x { bind: \"127.0.0.1:1\", mountpoint: \"site/\" }", "stomp.a: tcp.x on 127.0.0.1:1\nGW_DATA keeps iot.> site.>\nok\n"},
		"free ports twice":    {"gateway.stomp.a.listener { tcp.x.bind: \"127.0.0.1:0\", tcp.y.bind: \"127.0.0.1:0\" }", "stomp.a: tcp.x on 127.0.0.1:0\nstomp.a: tcp.y on 127.0.0.1:0\nGW_DATA keeps iot.>\nok\n"},
	} {
		code, stdout, stderr := sluice(t, "", "check-config", file(t, c.text))
		require.Zero(t, code, "%s: %s", name, stderr)
		require.Equal(t, c.want, stdout, name)
		require.Empty(t, stderr, name)
	}
}

func TestCheckConfigTellsAllMistakes(t *testing.T) {
	path := file(t, `nosuch: 1
data { replicas: two, dirr: "x" }
http.bind: 5
gateway {
  stomp.a {
    frame.max_headers: many
    idle_timeout: 5m
    listener.tcp.default { listen_onn: "127.0.0.1:1" }
  }
  stomp.b { max_pending: -1, max_deliver: 0 }
  mqtt.a { }
}
`)
	code, stdout, stderr := sluice(t, "", "check-config", path)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	for _, want := range []string{
		":1: nosuch: unknown key", ":2: data.replicas: must be a whole number", ":2: data.dirr: unknown key; did you mean dir?", ":3: http.bind: must be a string",
		":6: gateway.stomp.a.frame.max_headers: must be", ":7: gateway.stomp.a.idle_timeout: must be a time with its unit in quotes",
		":8: gateway.stomp.a.listener.tcp.default.listen_onn: unknown key", ":10: gateway.stomp.b.max_pending: must be greater than 0",
		":10: gateway.stomp.b.max_deliver: must be greater than 0", ":11: gateway.mqtt: unknown protocol; known are jt808, mqttsn, stomp",
	} {
		require.Contains(t, stderr, path+want)
	}
}

func TestCheckConfigRefuses(t *testing.T) {
	tcp := func(instance, bind string) string {
		return "gateway.stomp." + instance + ".listener.tcp.x.bind: \"" + bind + "\"\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"syntax":             {"a {\n", "Parse error on line 2"},
		"same bind":          {tcp("a", "127.0.0.1:1000") + tcp("b", "127.0.0.1:1000"), "gateway.stomp.b.listener.tcp.x: bind 127.0.0.1:1000 is used by gateway.stomp.a.listener.tcp.x"},
		"all interfaces":     {tcp("a", "0.0.0.0:1000") + tcp("b", "127.0.0.1:1000"), "gateway.stomp.b.listener.tcp.x: bind 127.0.0.1:1000 is used by gateway.stomp.a.listener.tcp.x"},
		"all, the other way": {tcp("a", "127.0.0.1:1000") + tcp("b", ":1000"), "bind :1000 is used by gateway.stomp.a.listener.tcp.x"},
		"in one instance":    {"gateway.stomp.a.listener { tcp.x.bind: \"1000\", ws.y.bind: \"[::]:1000\" }", "gateway.stomp.a.listener.ws.y: bind [::]:1000 is used by gateway.stomp.a.listener.tcp.x"},
		"no root":            {"gateway.stomp.a.mountpoint: \"${username}/\"", "gateway.stomp.a: mountpoint \"${username}/\" has no literal first level: set data.roots"},
		"empty mountpoint":   {"gateway.stomp.a.mountpoint: \"\"", "gateway.stomp.a: mountpoint \"\" has no literal first level: set data.roots"},
		"reserved root":      {"data.roots: [\"gw.x.>\"]", `root "gw.x.>" is reserved`},
		"root of everything": {"data.roots: [\">\"]", `root ">" is reserved`},
		"no root at all":     {"data.roots: [\"\"]", `root "" is not a subject`},
		"wrong transport":    {"gateway.stomp.a.listener.udp.x.bind: \":1\"", "listener.udp: stomp has no such transport"},
		"tls without files":  {"gateway.stomp.a.listener.tls.x.bind: \":1\"", "ssl_options.certfile: must be given"},
		"tls and ssl":        {"gateway.stomp.a.listener { tls.x { bind: \":1\", ssl_options { certfile: c, keyfile: k } }, ssl.x { bind: \":2\" } }", "listener tls.x is given twice"},
		"bind":               {tcp("a", "127.0.0.1:http"), `gateway.stomp.a.listener.tcp.x.bind: "http" is not a port`},
		"a rule":             {"gateway.stomp.a.authorization: [ {permission: allow, action: all, topic: \"#\"}, {permission: maybe} ]", "gateway.stomp.a.authorization[1]: permission: \"maybe\" is not"},
		"settings": {"shutdown_timeout: \"0s\"\ndata { replicas: 6, durability: paper, work_limit: 0 }\nlog { level: loud, format: xml }\nnats { port: 70000, mqtt_port: -2 }",
			"shutdown_timeout: must be|data.replicas: must be|data.durability: \"paper\" is not|data.work_limit: must be|log.level: \"loud\"|log.format: \"xml\"|nats.port: must|nats.mqtt_port: must"},
		"two at once":           {"data.replicas: 0\ngateway.stomp.a.max_deliver: 0", "data.replicas: must be|gateway.stomp.a.max_deliver: must be"},
		"bind and root at once": {tcp("a", ":1") + tcp("b", ":1") + "gateway.stomp.c.mountpoint: \"\"", "is used by|has no literal first level"},
		"gateway is no block":   {"gateway: 5", "gateway: must be <protocol>.<name>"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := sluice(t, "", "check-config", file(t, c.text))
			require.Equal(t, 1, code)
			require.Empty(t, stdout)
			for want := range strings.SplitSeq(c.want, "|") {
				require.Contains(t, stderr, want)
			}
		})
	}
}

func TestDefaultConfigIsTheDevelopmentPlan(t *testing.T) {
	code, text, stderr := sluice(t, "", "default-config")
	require.Zero(t, code, stderr)
	path := file(t, text)
	code, stdout, stderr := sluice(t, "", "check-config", path)
	require.Zero(t, code, stderr)
	require.Equal(t, "stomp.default: tcp.default on 127.0.0.1:61613\nstomp.default: ws.default on 127.0.0.1:61614\nmqttsn.default: udp.default on 127.0.0.1:1884\njt808.default: tcp.default on 127.0.0.1:6207\nGW_DATA keeps iot.> jt808.*.*.up jt808.*.*.up.raw\nGW_COMMANDS keeps jt808.*.*.dn\nok\n", stdout)

	got, err := loadPlan(path)
	require.NoError(t, err)
	want, err := developmentPlan()
	require.NoError(t, err)
	got.Gateway = nil // the instances are compared themselves
	// A list that is written down empty is not nil.
	require.Empty(t, got.NATS.URLs)
	require.Empty(t, got.Data.Roots)
	got.NATS.URLs, got.Data.Roots = nil, nil
	require.Equal(t, want.settings, got.settings)
	require.Len(t, got.instances, len(want.instances))
	for i, in := range want.instances {
		require.Equal(t, in.String(), got.instances[i].String())
		require.Equal(t, config.Render(in.conf), config.Render(got.instances[i].conf), "absent and empty lists are the same")
	}
	for _, key := range []string{"frame {", "max_headers: 10", "durability: \"interval\"", "passcode: \"\"", "# bytes of a body"} {
		require.Contains(t, text, key)
	}
}

// The seed's own block, with nothing filled in but the listener.
func TestSeedsBlock(t *testing.T) {
	p, err := loadPlan(file(t, `
gateway {
  stomp {
    allow_anonymous: true
    default_user.login: guest
    default_user.passcode: guest
    frame.max_headers: 10
    frame.max_header_length: 1024
    frame.max_body_length: 8192
    listener.tcp { listen_on: 127.0.0.1:61613 }
    listener.ssl.other { listen_on: 127.0.0.1:61612, ssl_options { certfile: c, keyfile: k } }
  }
}`))
	require.NoError(t, err)
	require.Len(t, p.instances, 1)
	require.Equal(t, "stomp.default", p.instances[0].String())
	c := p.instances[0].conf.(*stomp.Config)
	require.True(t, c.AllowAnonymous)
	require.Equal(t, "guest", c.DefaultUser.Login)
	require.Equal(t, "guest", c.DefaultUser.Passcode.Reveal())
	require.Equal(t, stomp.Frame{MaxHeaders: 10, MaxHeaderLength: 1024, MaxBodyLength: 8192}, c.Frame)
	require.Equal(t, map[string]string{"tcp.default": "127.0.0.1:61613", "tls.other": "127.0.0.1:61612"}, c.Binds())
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../deployments/examples/*.conf")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, path := range files {
		code, stdout, stderr := sluice(t, "", "check-config", path)
		require.Zero(t, code, "%s: %s", path, stderr)
		require.Contains(t, stdout, "\nok\n", path)
		p, err := loadPlan(path)
		require.NoError(t, err)
		require.Len(t, p.instances, 1, path)
		// Nobody is let in from the network by copying an example.
		for _, bind := range p.instances[0].conf.Common().Binds() {
			loopback := strings.HasPrefix(bind, "127.0.0.1:")
			require.True(t, loopback || !p.instances[0].conf.Common().AllowAnonymous, "%s: %s", path, bind)
		}
	}
	p, err := loadPlan("../../deployments/examples/production.conf")
	require.NoError(t, err)
	require.Len(t, p.NATS.URLs, 3)
	require.Equal(t, []gateway.Rule{{Permission: "allow", Action: "publish", Topic: "up/#"}, {Permission: "allow", Action: "subscribe", Topic: "dn/#"}, {Permission: "deny", Action: "all", Topic: "#"}},
		p.instances[0].conf.Common().Authorization)
}
