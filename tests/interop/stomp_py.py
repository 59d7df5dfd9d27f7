"""stomp.py: STOMP 1.0, 1.1 and 1.2 over tcp and tls."""

import os
import time

from stomp import Connection10, Connection11, Connection12

from check import Checks, address, connect, disconnect, same

TCP, TLS = address("STOMP_TCP"), address("STOMP_TLS")
CLASSES = {"1.0": Connection10, "1.1": Connection11, "1.2": Connection12}
checks = Checks("stomp.py")


def round_trip(conn, inbox, topic, body="hello", **headers):
    """Subscribes, sends with receipts and gives the message."""
    conn.subscribe(topic, id="1", headers={"receipt": "subscribed"})
    inbox.receipt("subscribed")
    conn.send(topic, body, receipt="sent", headers=headers)
    inbox.receipt("sent")
    return inbox.next("message")


def version(v):
    conn, inbox = connect(CLASSES[v], TCP)
    same(inbox.hello.get("version", "1.0"), v)
    body = "grün, 绿, 🟢\nsecond line"
    m = round_trip(conn, inbox, f"/topic/py/{v}", body, colour="red", **{"content-type": "text/plain"})
    same(m.body, body)
    same([m.headers[h] for h in ("destination", "colour", "content-type")], [f"/topic/py/{v}", "red", "text/plain"])
    conn.unsubscribe(id="1")
    disconnect(conn, inbox)
    same(inbox.none("error"), True)


def ack(v):
    conn, inbox = connect(CLASSES[v], TCP)
    name = f"/queue/py-ack-{v}"
    for body in ("one", "two"):
        conn.send(name, body, receipt=body)
        inbox.receipt(body)
    conn.subscribe(name, id="q", ack="client")
    one, two = inbox.next("message"), inbox.next("message")
    same([one.body, two.body], ["one", "two"])
    if v == "1.0":
        conn.ack(one.headers["message-id"], receipt="acked")
    elif v == "1.1":
        conn.ack(one.headers["message-id"], "q", receipt="acked")
    else:
        conn.ack(one.headers["ack"], receipt="acked")
    inbox.receipt("acked")
    disconnect(conn, inbox)

    conn, inbox = connect(CLASSES[v], TCP)
    conn.subscribe(name, id="q", ack="auto")
    start = time.monotonic()
    m = inbox.next("message")
    if time.monotonic() - start > 10:
        raise AssertionError("what was given back waited for the server's time-out of 15 s")
    same([m.body, m.headers["message-id"]], ["two", two.headers["message-id"]])
    disconnect(conn, inbox)


def transaction(v):
    conn, inbox = connect(CLASSES[v], TCP)
    topic = f"py/tx/{v}"
    conn.subscribe(topic, id="1", headers={"receipt": "subscribed"})
    inbox.receipt("subscribed")
    for name in ("dropped", "kept"):
        conn.begin(name)
        conn.send(topic, name, headers={"transaction": name})
    conn.abort("dropped")
    conn.send(topic, "outside", receipt="outside")
    inbox.receipt("outside")
    conn.commit("kept")
    same([inbox.next("message").body for _ in range(2)], ["outside", "kept"])
    disconnect(conn, inbox)


def escapes(v, text):
    conn, inbox = connect(CLASSES[v], TCP)
    m = round_trip(conn, inbox, "py/escapes", "x", note=text)
    same(m.headers["note"], text)
    disconnect(conn, inbox)


def escaped_names():
    conn, inbox = connect(Connection12, TCP)
    topic = "py/name:with:colons\\and\\backslashes"
    same(round_trip(conn, inbox, topic).headers["destination"], topic)
    disconnect(conn, inbox)


def bad_destination(v, destination):
    conn, inbox = connect(CLASSES[v], TCP)
    conn.send(destination, "x", receipt="bad")
    err = inbox.next("error")
    same(err.headers["receipt-id"], "bad")
    if destination not in err.headers["message"] + err.body:
        raise AssertionError(f"the ERROR does not say what is wrong: {err}")
    inbox.next("disconnected")


def heart_beats():
    conn, inbox = connect(Connection12, TCP, heartbeats=(1000, 1000))
    same(inbox.hello["heart-beat"], "1000,1000")
    time.sleep(4)
    same([inbox.none("heartbeat_timeout"), inbox.none("disconnected")], [True, True])
    same(round_trip(conn, inbox, "py/alive", "still here").body, "still here")
    disconnect(conn, inbox)


def tls(ca):
    conn, inbox = connect(Connection12, TLS, ssl={"ca_certs": ca})
    subject = dict(pair[0] for pair in conn.transport.socket.getpeercert()["subject"])
    same([subject["commonName"], conn.transport.socket.version()], ["sluice-interop", "TLSv1.3"])
    same(round_trip(conn, inbox, "py/tls", "secret").body, "secret")
    disconnect(conn, inbox)


def main(ca):
    for v in CLASSES:
        checks.check(f"{v}: SUBSCRIBE and SEND with receipts, UTF-8, headers", version, v)
        checks.check(f"{v}: ACK, the rest comes again", ack, v)
        checks.check(f"{v}: BEGIN, ABORT, COMMIT", transaction, v)
        checks.check(f"{v}: ERROR for a bad destination", bad_destination, v, "py/+/bad")
    checks.check("1.2: ERROR for a destination with a blank", bad_destination, "1.2", "py/a b")
    checks.check("1.1: colon, LF, backslash in a header", escapes, "1.1", "a:b\nc\\d\\n::")
    checks.check("1.2: colon, LF, CR, backslash in a header", escapes, "1.2", "a:b\nc\\d\re\\n::\\")
    checks.check("1.2: colon, backslash in a destination", escaped_names)
    checks.check("1.2: 1 s heart-beats survive 4 s without a message", heart_beats)
    checks.check("1.2: TLS with a checked certificate", tls, ca)
    checks.end()


if __name__ == "__main__":
    main(os.environ["STOMP_CA"])
