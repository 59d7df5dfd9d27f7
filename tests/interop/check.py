"""What both Python scripts share: named checks, and a listener to wait on."""

import os
import queue
import sys
import threading
import traceback

import stomp

PATIENCE = 20  # seconds for what must happen, on a busy machine


def address(name):
    host, port = os.environ[name].split(":")
    return host, int(port)


def same(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


class Inbox(stomp.ConnectionListener):
    """Takes what stomp.py's thread brings, each kind to be awaited in order."""

    def __init__(self):
        self.frames = {}
        for kind in ("connected", "message", "receipt", "error", "disconnected", "heartbeat_timeout"):
            self.frames[kind] = queue.Queue()

    def on_connected(self, frame):
        self.frames["connected"].put(frame)

    def on_message(self, frame):
        self.frames["message"].put(frame)

    def on_receipt(self, frame):
        self.frames["receipt"].put(frame)

    def on_error(self, frame):
        self.frames["error"].put(frame)

    def on_disconnected(self):
        self.frames["disconnected"].put(None)

    def on_heartbeat_timeout(self):
        self.frames["heartbeat_timeout"].put(None)

    def next(self, kind):
        try:
            return self.frames[kind].get(timeout=PATIENCE)
        except queue.Empty:
            seen = {k: q.qsize() for k, q in self.frames.items() if q.qsize()}
            raise AssertionError(f"no {kind} within {PATIENCE} s; also waiting: {seen}") from None

    def receipt(self, name):
        same(self.next("receipt").headers["receipt-id"], name)

    def none(self, kind):
        return self.frames[kind].empty()


def start_after(event, loop):
    """Starts the thread that receives, which waits for the event first.

    stomp.py 8.0.0 on Python 3.11 reads and writes one TLS socket in two threads
    without a lock. If the reader is in the session tickets of TLS 1.3 when CONNECT
    is written, CONNECT is lost: about 1 connection in 30, with any server that
    sends tickets.
    """
    def run():
        event.wait()
        loop()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def connect(factory, host_port, headers=None, ssl=None, **options):
    """Connects one of stomp.py's classes; gives it and its inbox."""
    conn, inbox = factory([host_port], reconnect_attempts_max=1, **options), Inbox()
    conn.set_listener("inbox", inbox)
    written = threading.Event()
    if ssl:
        conn.set_ssl(for_hosts=[host_port], **ssl)
        conn.transport.override_threading(lambda loop: start_after(written, loop))
    conn.connect(wait=False, headers=headers or {})
    written.set()
    inbox.hello = inbox.next("connected").headers
    return conn, inbox


def disconnect(conn, inbox):
    conn.disconnect(receipt="goodbye")
    inbox.receipt("goodbye")


class Checks:
    """Prints a line for each check; end says that none was left out."""

    def __init__(self, client):
        self.client, self.failed = client, 0

    def check(self, what, f, *args):
        try:
            f(*args)
            print(f"ok  {self.client}  {what}", flush=True)
        except Exception as err:
            self.failed += 1
            print(f"FAIL  {self.client}  {what}: {' '.join(str(err).split())}", flush=True)
            traceback.print_exc()

    def end(self):
        print(f"end  {self.client}", flush=True)
        sys.stderr.flush()
        os._exit(1 if self.failed else 0)  # threads of stomp.py may be left
