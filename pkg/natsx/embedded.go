package natsx

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Embedded configures a NATS server inside this process. The zero value of a
// field means its default, except for ports: a port of 0 is none for MQTT and
// 4222 for NATS, -1 is a free one that the system chooses.
type Embedded struct {
	Dir          string        // of JetStream; needed
	Host         string        // default 127.0.0.1
	Port         int           // default 4222
	MQTTPort     int           // nats-server's own MQTT listener; default none
	Name         string        // of the server, default "sluice": MQTT sessions belong to it
	SyncInterval time.Duration // between fsyncs, default 1s
	SyncAlways   bool          // fsync before every acknowledgement
	MaxPayload   int           // bytes of one message, default 1 MiB
	Log          *slog.Logger  // warnings and errors of the server; nil = none
}

// Server is a running embedded server.
type Server struct {
	ns *server.Server
	o  *server.Options
}

// startTimeout is for the listeners only: recovery of the store, which may take
// seconds for millions of subjects, is over when it begins.
const startTimeout = 5 * time.Second

// Start starts a server and returns when it takes connections.
func Start(e Embedded) (*Server, error) {
	o, err := e.options()
	if err != nil {
		return nil, err
	}
	// Ports are tried before the store is touched: the server itself opens the
	// store first, and two servers on one store would damage it.
	for _, p := range []struct {
		what string
		port int
	}{{"NATS", o.Port}, {"MQTT", o.MQTT.Port}} {
		if err := checkPort(p.what, o.Host, p.port); err != nil {
			return nil, err
		}
	}
	ns, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("natsx: embedded server: %w", err)
	}
	log := newServerLog(e.Log)
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	s := &Server{ns: ns, o: o}
	if err := log.fatal(); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("natsx: embedded server: %w", err)
	}
	if !ns.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, errors.New("natsx: embedded server: not ready for connections")
	}
	return s, nil
}

func (e Embedded) options() (*server.Options, error) {
	if e.Dir == "" {
		return nil, errors.New("natsx: embedded server: no directory given")
	}
	if e.MaxPayload < 0 || e.MaxPayload > math.MaxInt32 {
		return nil, fmt.Errorf("natsx: embedded server: max payload %d is out of range", e.MaxPayload)
	}
	o := &server.Options{
		ServerName:   cmp.Or(e.Name, "sluice"),
		Host:         cmp.Or(e.Host, "127.0.0.1"),
		Port:         cmp.Or(e.Port, 4222),
		JetStream:    true,
		StoreDir:     e.Dir,
		SyncInterval: cmp.Or(e.SyncInterval, time.Second),
		SyncAlways:   e.SyncAlways,
		MaxPayload:   int32(e.MaxPayload),
		NoSigs:       true, // signals are the process's own

		DisableJetStreamBanner: true,
	}
	if e.MQTTPort != 0 {
		o.MQTT = server.MQTTOpts{Host: o.Host, Port: e.MQTTPort}
	}
	return o, nil
}

func checkPort(what, host string, port int) error {
	if port <= 0 {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("natsx: embedded server: %s port %d cannot be used, is another server running? %w", what, port, err)
	}
	return l.Close()
}

// ClientURL is where NATS clients connect, with the real port.
func (s *Server) ClientURL() string { return s.ns.ClientURL() }

// MQTTAddr is host:port of the MQTT listener, "" when it is off.
func (s *Server) MQTTAddr() string {
	if s.o.MQTT.Port == 0 {
		return ""
	}
	return net.JoinHostPort(s.o.MQTT.Host, strconv.Itoa(s.o.MQTT.Port))
}

// InProcess connects without a socket.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s.ns) }

// Shutdown stops the server and waits until its store is closed. It is not
// LameDuckShutdown, which does not wait when there is no listener.
func (s *Server) Shutdown() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// serverLog hands the server's warnings and errors to slog. Notices are
// dropped, and with them everything that quotes what clients send.
type serverLog struct {
	log   *slog.Logger
	first chan error // the first fatal error
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: orDiscard(log), first: make(chan error, 1)}
}

func (l *serverLog) fatal() error {
	select {
	case err := <-l.first:
		return err
	default:
		return nil
	}
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats server", "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats server", "text", fmt.Sprintf(format, v...))
}

// Fatalf must not end the process: Start returns the error.
func (l *serverLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	select {
	case l.first <- err:
	default:
	}
	l.log.Error("nats server", "text", err.Error(), "fatal", true)
}

func (*serverLog) Noticef(string, ...any) {}
func (*serverLog) Debugf(string, ...any)  {}
func (*serverLog) Tracef(string, ...any)  {}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
