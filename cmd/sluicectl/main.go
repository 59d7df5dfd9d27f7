// Command sluicectl is for operators: it asks and changes a running sluice over
// NATS.
package main

import "os"

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
