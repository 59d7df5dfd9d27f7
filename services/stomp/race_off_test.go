//go:build !race

package stomp

const raceFactor = 1
