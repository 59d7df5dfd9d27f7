"""What both sides of MQTT-SN put on the wire, read by tshark and by sluice.

mqttsn_tshark.py SLUICE TRACE: TRACE has a datagram a line, in hex. Each is decoded by
Wireshark's dissector and by "sluice decode mqttsn"; the fields must be the same.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

PORT = 1884
FIELDS = [
    "mqttsn.msg.type", "mqttsn.msg.len", "mqttsn.client.id", "mqttsn.keep.alive",
    "mqttsn.protocol.id", "mqttsn.return.code", "mqttsn.msg.id", "mqttsn.topic.id",
    "mqttsn.topic", "mqttsn.pub.msg", "mqttsn.will.topic", "mqttsn.will.msg",
    "mqttsn.sleep.timer", "mqttsn.gw.id", "mqttsn.dup", "mqttsn.qos",
    "mqttsn.retain", "mqttsn.will", "mqttsn.clean.session", "mqttsn.topic.id.type",
    "mqttsn.topic.name.or.id",
]


def pcap(datagrams, name):
    """Writes datagrams as UDP over IPv4, raw (link type 101)."""
    with open(name, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for i, b in enumerate(datagrams):
            udp = struct.pack("!HHHH", 40000, PORT, 8 + len(b), 0) + b
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1") + udp
            f.write(struct.pack("<IIII", i, 0, len(ip), len(ip)) + ip)


def tshark(name):
    cmd = ["tshark", "-r", name, "-d", f"udp.port=={PORT},mqttsn", "-o", "udp.check_checksum:FALSE", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    for f in FIELDS:
        cmd += ["-e", f]
    out = subprocess.run(cmd, capture_output=True, text=True, check=True).stdout
    return [dict(zip(FIELDS, line.split("|"))) for line in out.splitlines()]


def sluice(program, b):
    out = subprocess.run([program, "decode", "mqttsn", b.hex()], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def text(v):
    """A name or payload of ours as bytes."""
    if isinstance(v, dict):
        return bytes.fromhex(next(iter(v.values())))
    return v.encode()


def compare(b, theirs, ours):
    """Yields the fields in which the two differ."""
    flags = ours.get("flags", {})

    def number(field, mine):
        got = theirs[field]
        if got != "" and mine is not None and int(got, 0) != mine:
            yield f"{field}: tshark {got}, sluice {mine}"

    def switch(field, mine):
        got = theirs[field]
        if got != "" and mine is not None and (got in ("1", "True")) != bool(mine):
            yield f"{field}: tshark {got}, sluice {mine}"

    if theirs["mqttsn.msg.type"] == "":
        yield "tshark does not know it as MQTT-SN"
        return
    kind = int(theirs["mqttsn.msg.type"], 0)
    type_at = 3 if b[0] == 1 else 1
    if kind != b[type_at] or int(theirs["mqttsn.msg.len"], 0) != len(b):
        yield f"type or length: tshark {theirs['mqttsn.msg.type']} {theirs['mqttsn.msg.len']}"
    yield from number("mqttsn.keep.alive", ours.get("duration"))
    yield from number("mqttsn.protocol.id", ours.get("protocol_id"))
    yield from number("mqttsn.return.code", ours.get("return_code"))
    yield from number("mqttsn.msg.id", ours.get("msg_id"))
    yield from number("mqttsn.sleep.timer", ours.get("duration"))
    yield from number("mqttsn.gw.id", ours.get("gw_id"))
    if flags.get("topic_id_type") != 2:
        yield from number("mqttsn.topic.id", ours.get("topic_id"))
    for field, key in [("mqttsn.dup", "dup"), ("mqttsn.retain", "retain"), ("mqttsn.will", "will"), ("mqttsn.clean.session", "clean")]:
        yield from switch(field, flags.get(key))
    if "qos" in flags and theirs["mqttsn.qos"] != "" and int(theirs["mqttsn.qos"], 0) != flags["qos"] % 4:
        yield f"qos: tshark {theirs['mqttsn.qos']}, sluice {flags['qos']}"
    yield from number("mqttsn.topic.id.type", flags.get("topic_id_type"))
    for field, keys in [("mqttsn.client.id", ["client_id"]), ("mqttsn.topic", ["topic", "topic_name", "name"]),
                        ("mqttsn.will.topic", ["topic", "will_topic", "name"]), ("mqttsn.topic.name.or.id", ["topic", "topic_name", "name"])]:
        mine = next((ours[k] for k in keys if k in ours), None)
        got = theirs[field]
        if got and mine is not None and flags.get("topic_id_type", 0) == 0 and text(mine) != got.encode():
            yield f"{field}: tshark {got!r}, sluice {mine!r}"


def main():
    program, trace = sys.argv[1:]
    with open(trace) as f:
        datagrams = [bytes.fromhex(line.strip()) for line in f if line.strip()]
    with tempfile.TemporaryDirectory() as tmp:
        name = os.path.join(tmp, "trace.pcap")
        pcap(datagrams, name)
        theirs = tshark(name)
    bad, kinds = 0, set()
    if len(theirs) != len(datagrams):
        print(f"FAIL  tshark  {len(theirs)} packets of {len(datagrams)}")
        return 1
    for b, t in zip(datagrams, theirs):
        ours = sluice(program, b)
        kinds.add(ours["type"])
        for difference in compare(b, t, ours):
            bad += 1
            print(f"FAIL  tshark  {ours['type']} {b[:40].hex()}: {difference}")
    print(f"{'FAIL' if bad else 'ok'}  tshark  {len(datagrams)} MQTT-SN datagrams of {len(kinds)} types mean the same to Wireshark")
    want = {"CONNECT", "CONNACK", "WILLTOPICREQ", "WILLTOPIC", "WILLMSGREQ", "WILLMSG", "REGISTER", "REGACK", "PUBLISH", "PUBACK", "PUBREC",
            "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "SEARCHGW", "GWINFO",
            "WILLTOPICUPD", "WILLTOPICRESP", "WILLMSGUPD", "WILLMSGRESP"}
    print(f"{'ok' if want <= kinds else 'FAIL'}  tshark  every type of an exchange was on the wire{', but not ' + ', '.join(sorted(want - kinds)) if want - kinds else ''}")
    print("end  tshark")
    return 1 if bad or want - kinds else 0


sys.exit(main())
