// Package queue knows how one queue is delivered to one device: in order, within
// a window, again when nothing is answered, and what is to be deleted or given up.
// [Flight] is a state machine that is asked what to do and told what came of it.
// It does no I/O, has no clock and no goroutine.
package queue
