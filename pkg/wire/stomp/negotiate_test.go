package stomp_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

func TestVersion(t *testing.T) {
	for _, v := range allVersions[1:] {
		got, ok := stomp.ParseVersion(v.String())
		require.True(t, ok)
		require.Equal(t, v, got)
	}
	require.Equal(t, "unknown", stomp.Unknown.String())
	for _, bad := range []string{"", "unknown", "1", "1.3", " 1.2", "1.20"} {
		v, ok := stomp.ParseVersion(bad)
		require.False(t, ok, bad)
		require.Equal(t, stomp.Unknown, v)
	}
}

func TestNegotiateVersion(t *testing.T) {
	tests := []struct {
		list string
		want stomp.Version
	}{
		{"", stomp.V10},
		{"1.0", stomp.V10},
		{"1.0,1.1,2.0", stomp.V11},
		{"1.2,1.0", stomp.V12},
		{" 1.0 , 1.1 ", stomp.V11},
		{",,1.2,", stomp.V12},
		{"3.0", stomp.Unknown},
		{"1.3,garbage", stomp.Unknown},
		{" ", stomp.Unknown},
	}
	for _, tt := range tests {
		v, ok := stomp.NegotiateVersion(tt.list)
		require.Equal(t, tt.want, v, "%q", tt.list)
		require.Equal(t, tt.want != stomp.Unknown, ok, "%q", tt.list)
	}
}

func TestParseHeartBeat(t *testing.T) {
	h, err := stomp.ParseHeartBeat("1000,2000")
	require.NoError(t, err)
	require.Equal(t, stomp.HeartBeat{Send: time.Second, Want: 2 * time.Second}, h)
	require.Equal(t, "1000,2000", h.String())

	h, err = stomp.ParseHeartBeat("0,99999999999999999999999999")
	require.NoError(t, err)
	require.Equal(t, stomp.HeartBeat{Want: stomp.MaxHeartBeat}, h)
	require.Equal(t, "0,86400000", h.String())

	for _, bad := range []string{"", ",", "1", "1,", ",1", "1,2,3", "-1,0", "+1,0", " 1,0", "1, 0", "1.5,0", "a,b", "1\n,0"} {
		_, err := stomp.ParseHeartBeat(bad)
		require.ErrorIs(t, err, stomp.ErrBadHeartBeat, "%q", bad)
		require.ErrorIs(t, err, stomp.ErrSyntax)
	}
}

func TestNegotiateHeartBeat(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		client, server     stomp.HeartBeat
		toServer, toClient time.Duration
	}{
		{stomp.HeartBeat{}, stomp.HeartBeat{}, 0, 0},
		{stomp.HeartBeat{Send: 1000 * ms, Want: 2000 * ms}, stomp.HeartBeat{Send: 2000 * ms, Want: 1000 * ms}, 1000 * ms, 2000 * ms},
		{stomp.HeartBeat{Send: 100 * ms}, stomp.HeartBeat{Send: 10 * ms, Want: 500 * ms}, 500 * ms, 0},
		{stomp.HeartBeat{Send: 900 * ms, Want: 5 * ms}, stomp.HeartBeat{Send: 70 * ms, Want: 500 * ms}, 900 * ms, 70 * ms},
		{stomp.HeartBeat{Send: 0, Want: 5 * ms}, stomp.HeartBeat{Send: 0, Want: 500 * ms}, 0, 0},
	}
	for _, tt := range tests {
		toServer, toClient := stomp.Negotiate(tt.client, tt.server)
		require.Equal(t, tt.toServer, toServer)
		require.Equal(t, tt.toClient, toClient)
	}
}
