package conform

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

func publishDenied(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"authorization": `[
  {permission: deny, action: publish, topic: "up/secret"}
  {permission: allow, action: publish, topic: "up/#"}
]`})
	for _, topic := range []string{"down/x", "up/secret", "x", "upper"} {
		d := r.enter(t, 0, "a")
		require.Falsef(t, refused(t, d.Publish(within(t), Publication{Topic: topic, Payload: "no"})).Later, "topic %s", topic)
		require.Empty(t, r.payloads(t, r.subject(topic)), topic)
	}
	publish(t, r.enter(t, 0, "a"), "up/x", "yes")
	require.Equal(t, []string{"yes"}, r.payloads(t, r.subject(">")))
}

func subscribeDenied(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"authorization": `[
  {permission: allow, action: publish, topic: "#"}
  {permission: deny, action: subscribe, topic: "down/secret"}
  {permission: allow, action: subscribe, topic: "down/#"}
]`})
	no := []string{"down/secret", "up/x"}
	if s.Can.Wildcards {
		no = append(no, "#", "down/#", "+/x", "+/secret", "down/+", "up/#") // also what is only in part forbidden
	}
	for _, filter := range no {
		d := r.enter(t, 0, "spy")
		require.Falsef(t, refused(t, d.Subscribe(within(t), Subscription{Filter: filter})).Later, "filter %s", filter)
		d.Cut()
	}
	d := r.enter(t, 0, "a")
	subscribe(t, d, "down/x")
	if s.Can.Wildcards {
		subscribe(t, d, "down/y/#")
	}
	publish(t, d, "down/secret", "for nobody")
	publish(t, d, "down/x", "for a")
	expect(t, d, "for a")
	quiet(t, d)
}

func userRules(t *testing.T, s *stage) {
	h := s.house
	r := s.room(t, h, nil)
	login := Login{ClientID: "a", Username: "limited-" + r.Name, Password: h.Secret()}
	h.User(t, login.Username, login.Password,
		api.Rule{Permission: "allow", Action: "all", Topic: "${clientid}/#"})
	enter := func() Device {
		d, err := r.dial(t, 0, login)
		require.NoError(t, err)
		return d
	}
	await(t, "the user is not known", func() bool {
		d, err := r.dial(t, 0, login)
		if err != nil {
			return false
		}
		return d.Close(within(t)) == nil
	})
	refused(t, enter().Publish(within(t), Publication{Topic: "b/x", Payload: "no"}))
	refused(t, enter().Subscribe(within(t), Subscription{Filter: "b/x"}))
	d := enter()
	subscribe(t, d, "a/x")
	publish(t, d, "a/x", "yes")
	expect(t, d, "yes")
	require.Equal(t, []string{"yes"}, r.payloads(t, r.subject(">")))
}
