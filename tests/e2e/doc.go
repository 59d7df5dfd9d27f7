// Package e2e tests sluice as it is operated: a nats-server process, every
// service a process of its own, and kill -9. Its tests build both programs; they
// need nothing but Go.
package e2e
