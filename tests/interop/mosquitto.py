"""mosquitto_pub and mosquitto_sub on nats-server's own MQTT, STOMP on the other side.

The instance's mountpoint is iot/: the STOMP destination a/b is the MQTT topic iot/a/b.
"""

import json
import queue
import subprocess
import threading

from stomp import Connection12

from check import PATIENCE, Checks, address, connect, disconnect, same

TCP, (HOST, PORT) = address("STOMP_TCP"), address("MQTT")
checks = Checks("mosquitto")
TOPICS = {
    "one level": "single",
    "many levels": "m/a/b/c/d/e/f",
    "dots": "m/v1.2/sensor.temp",
    "dots at the ends of levels": "m/.hidden/end.",
    "UTF-8": "m/grün/绿",
    "signs": "m/a-b_c:d=e@f",
    "an empty level": "m//x",
}


def mqtt(program, *args):
    return ["stdbuf", "-oL", program, "-V", "mqttv311", "-h", HOST, "-p", str(PORT), *args]


class Subscriber:
    """mosquitto_sub, that has subscribed when the constructor returns."""

    def __init__(self, *topics, qos=1):
        args = [a for t in topics for a in ("-t", t)]
        self.process = subprocess.Popen(mqtt("mosquitto_sub", "-d", "-q", str(qos), "-F", "%j", *args),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._line("Subscribed (")

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _line(self, prefix):
        seen = []
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"mosquitto_sub prints no {prefix!r}, but {seen}")
            if line.startswith(prefix):
                return line
            seen.append(line.strip())

    def next(self):
        m = json.loads(self._line("{"))
        return m["topic"], m["payload"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)


def publish(topic, *args, qos=1):
    """With QoS 1 mosquitto_pub ends with 0 only after PUBACK."""
    done = subprocess.run(mqtt("mosquitto_pub", "-q", str(qos), "-t", topic, *args), capture_output=True, timeout=PATIENCE)
    same((done.returncode, done.stderr), (0, b""))


def stomp_subscriber(*topics, **options):
    conn, inbox = connect(Connection12, TCP, **options)
    for i, topic in enumerate(topics):
        conn.subscribe(topic, id=str(i), headers={"receipt": f"subscribed {i}"})
        inbox.receipt(f"subscribed {i}")
    return conn, inbox


def to_stomp(topic, qos):
    conn, inbox = stomp_subscriber(topic, "#")
    publish(f"iot/{topic}", "-m", f"to {topic}", qos=qos)
    got = [inbox.next("message") for _ in range(2)]
    same(sorted((m.headers["subscription"], m.headers["destination"], m.body) for m in got),
         [("0", topic, f"to {topic}"), ("1", topic, f"to {topic}")])
    disconnect(conn, inbox)


def to_mqtt(topic):
    conn, inbox = connect(Connection12, TCP)
    with Subscriber(f"iot/{topic}") as literal, Subscriber("iot/#", qos=0) as all_of_them:
        conn.send(topic, f"from {topic}", receipt="sent")
        inbox.receipt("sent")
        same(literal.next(), (f"iot/{topic}", f"from {topic}"))
        same(all_of_them.next(), (f"iot/{topic}", f"from {topic}"))
    disconnect(conn, inbox)


def wildcards():
    conn, inbox = stomp_subscriber("w/+/t")
    with Subscriber("iot/w/+/t") as sub:
        for level in ("a", "b.c"):
            publish(f"iot/w/{level}/t", "-m", level)
            conn.send(f"w/{level}/t", f"stomp {level}", receipt=level)
            inbox.receipt(level)
        want = [(f"w/{level}/t", body) for level in ("a", "b.c") for body in (level, f"stomp {level}")]
        got = [inbox.next("message") for _ in want]
        same(sorted((m.headers["destination"], m.body) for m in got), sorted(want))
        same(sorted(sub.next() for _ in want), sorted((f"iot/{t}", b) for t, b in want))
    disconnect(conn, inbox)


def binary():
    conn, inbox = stomp_subscriber("bin", auto_decode=False)
    body = bytes(range(256)) * 16
    done = subprocess.run(mqtt("mosquitto_pub", "-q", "1", "-t", "iot/bin", "-s"), input=body, capture_output=True, timeout=PATIENCE)
    same(done.returncode, 0)
    same(inbox.next("message").body, body)
    disconnect(conn, inbox)


def outside():
    """A topic outside the mountpoint is not for STOMP devices."""
    conn, inbox = stomp_subscriber("#")
    publish("elsewhere/x", "-m", "not for devices", qos=0)
    publish("iot/inside", "-m", "for devices")
    same(inbox.next("message").body, "for devices")
    disconnect(conn, inbox)


def durable():
    conn, inbox = connect(Connection12, TCP, headers={"client-id": "mqtt-durable"})
    subscribe = {"durable": "true", "receipt": "subscribed"}
    conn.subscribe("kept/#", id="d", headers=subscribe)
    inbox.receipt("subscribed")
    disconnect(conn, inbox)
    for i in range(3):
        publish(f"iot/kept/{i}", "-m", f"while away {i}")
    conn, inbox = connect(Connection12, TCP, headers={"client-id": "mqtt-durable"})
    conn.subscribe("kept/#", id="d", headers=subscribe)
    inbox.receipt("subscribed")
    got = [inbox.next("message") for _ in range(3)]
    same([(m.headers["destination"], m.body) for m in got], [(f"kept/{i}", f"while away {i}") for i in range(3)])
    disconnect(conn, inbox)


def blanks():
    """nats-server's MQTT takes no blanks in topics, nor does the gateway: it says so."""
    conn, inbox = connect(Connection12, TCP)
    conn.send("m/with a/blank", "x", receipt="blank")
    same("m/with a/blank" in inbox.next("error").body, True)
    done = subprocess.run(mqtt("mosquitto_pub", "-q", "1", "-t", "iot/m/with a/blank", "-m", "x"), capture_output=True, timeout=PATIENCE)
    same(done.returncode != 0, True)


for label, name in TOPICS.items():
    checks.check(f"MQTT QoS 1 to STOMP: {label}", to_stomp, name, 1)
    checks.check(f"STOMP to MQTT QoS 1: {label}", to_mqtt, name)
checks.check("MQTT QoS 0 to STOMP", to_stomp, "m/qos0", 0)
checks.check("wildcards on both sides, both publish", wildcards)
checks.check("a binary body to STOMP", binary)
checks.check("a topic outside the mountpoint does not reach STOMP", outside)
checks.check("MQTT QoS 1 to a durable STOMP subscription that was away", durable)
checks.check("a topic with blanks is refused by both", blanks)
checks.end()
