//go:build race

package stomp

// raceFactor is how much more memory the race detector takes.
const raceFactor = 4
