// Package api is what sluice's services say to each other over NATS: plain
// structs with their JSON, and the error kinds that survive the way. Standard
// library only.
package api
