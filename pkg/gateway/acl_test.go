package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

func lookupOf(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func testMount(t *testing.T) subject.Mount {
	t.Helper()
	m, err := subject.NewMount("iot/")
	require.NoError(t, err)
	return m
}

func TestACL(t *testing.T) {
	a, err := newACL([]api.Rule{
		{Permission: "deny", Action: "all", Topic: "secret"},
		{Permission: "allow", Action: "publish", Topic: "up/${clientid}"},
		{Permission: "allow", Action: "subscribe", Topic: "down/${clientid}/#"},
		{Permission: "deny", Action: "subscribe", Topic: "open/private/#"},
		{Permission: "allow", Action: "all", Topic: "open/#"},
	}, testMount(t), lookupOf(map[string]string{"clientid": "car.7"}))
	require.NoError(t, err)
	for _, c := range []struct {
		on   action
		subj string
		want bool
	}{
		{actionPublish, "iot.up.car//7", true},
		{actionPublish, "iot.up.other", false},
		{actionSubscribe, "iot.up.car//7", false},
		{actionSubscribe, "iot.down.car//7.>", true},
		{actionSubscribe, "iot.down.car//7", true},
		{actionSubscribe, "iot.down.*.x", false}, // an allow must cover all of it
		{actionSubscribe, "iot.open.>", false},   // a deny need only touch it
		{actionSubscribe, "iot.open.*.x", false}, // the same
		{actionSubscribe, "iot.open.public.>", true},
		{actionPublish, "iot.open.private.x", true}, // denied for subscribing only
		{actionPublish, "iot.secret", false},
		{actionPublish, "iot.unknown", false},
	} {
		require.Equal(t, c.want, a.allows(c.on, c.subj), "%v %s", c.on, c.subj)
	}
	require.True(t, acl(nil).allows(actionPublish, "iot.x"), "no rules, no limits")
}

// TestACLVariablesStayInTheirLevel: a device that calls itself "+" must not get
// the rules of all.
func TestACLVariablesStayInTheirLevel(t *testing.T) {
	rule := []api.Rule{{Permission: "allow", Action: "all", Topic: "up/${clientid}/#"}}
	for _, id := range []string{"+", "#", "*", ">", "a/b", "a+"} {
		_, err := newACL(rule, testMount(t), lookupOf(map[string]string{"clientid": id}))
		wantKind(t, api.Denied, err)
	}
	_, err := newACL([]api.Rule{{Topic: "a b"}}, testMount(t), lookupOf(nil))
	wantKind(t, api.Denied, err)
	a, err := newACL(rule, testMount(t), lookupOf(map[string]string{"clientid": ""}))
	require.NoError(t, err)
	require.False(t, a.allows(actionPublish, "iot.up.x"))
}
