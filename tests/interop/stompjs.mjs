// @stomp/stompjs, the client of browsers: over ws and wss, and over tcp by @stomp/tcp-wrapper.
import { readFileSync } from 'node:fs';
import { Client } from '@stomp/stompjs';
import { TCPWrapper } from '@stomp/tcp-wrapper';
import { WebSocket } from 'ws';
import { Inbox, address, checker, ok, same, sleep, within } from './check.mjs';

globalThis.WebSocket = WebSocket; // as a browser has it
const { check, end } = checker('stomp.js');

const tcp = address('STOMP_TCP');
const protocols = ['v12.stomp', 'v11.stomp', 'v10.stomp'];
const transports = {
  ws: { brokerURL: `ws://${process.env.STOMP_WS}/` },
  wss: { webSocketFactory: () => new WebSocket(`wss://${process.env.STOMP_WSS}/`, protocols, { ca: readFileSync(process.env.STOMP_CA) }) },
  tcp: { webSocketFactory: () => new TCPWrapper(tcp.host, tcp.port) },
};

// connect gives a connected client that does not come back by itself.
async function connect(transport, options = {}) {
  const c = new Client({ ...transports[transport], reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0, ...options });
  c.faults = new Inbox();
  c.onStompError = (frame) => c.faults.put(frame);
  const connected = new Promise((resolve, reject) => {
    c.onConnect = (frame) => { c.hello = frame.headers; resolve(); };
    c.onWebSocketError = (event) => reject(new Error(`connection: ${event.message}`));
    c.onWebSocketClose = () => reject(new Error('connection closed'));
  });
  c.activate();
  await within(connected, 'CONNECTED');
  return c;
}

const disconnect = (c) => within(c.deactivate(), 'end of the connection');

let receipts = 0;

// receipt runs an operation with a receipt header and awaits the RECEIPT.
async function receipt(c, operation) {
  const id = `receipt-${++receipts}`;
  const got = new Promise((resolve) => c.watchForReceipt(id, resolve));
  const result = operation({ receipt: id });
  await within(got, 'RECEIPT');
  return result;
}

async function subscribe(c, destination, headers = {}) {
  const inbox = new Inbox();
  inbox.subscription = await receipt(c, (r) => c.subscribe(destination, (m) => inbox.put(m), { ...headers, ...r }));
  return inbox;
}

const publish = (c, destination, body, headers = {}) =>
  receipt(c, (r) => c.publish({ destination, body, headers: { ...headers, ...r } }));

const bodies = (messages) => messages.map((m) => m.body);

await check('ws: the subprotocol v12.stomp is agreed', async () => {
  const c = await connect('ws');
  same([c.webSocket.protocol, c.connectedVersion], ['v12.stomp', '1.2']);
  await disconnect(c);
});

for (const [version, protocol] of [['1.1', 'v11.stomp'], ['1.0', 'v10.stomp']]) {
  await check(`ws: a client of ${version} alone`, async () => {
    const c = await connect('ws', {
      stompVersions: { versions: [version], supportedVersions: () => version, protocolVersions: () => [protocol] },
    });
    same([c.webSocket.protocol, c.connectedVersion], [protocol, version]);
    const inbox = await subscribe(c, 'js/old');
    await publish(c, 'js/old', `from ${version}`);
    same((await inbox.next()).body, `from ${version}`);
    await disconnect(c);
  });
}

for (const transport of Object.keys(transports)) {
  const base = `js/${transport}`;

  await check(`${transport}: publish, subscribe, text with headers`, async () => {
    const [a, b] = [await connect(transport), await connect(transport)];
    const inbox = await subscribe(a, `/topic/${base}/text`);
    const body = 'grün, 绿, 🟢\nsecond line';
    await publish(b, `/topic/${base}/text`, body, { 'content-type': 'text/plain', note: 'a:b\\ c\nd' });
    const m = await inbox.next(); // stomp.js itself misreads a backslash before c, n or r
    same([m.body, m.headers.destination, m.headers.note, m.headers['content-type']],
      [body, `/topic/${base}/text`, 'a:b\\ c\nd', 'text/plain']);
    await Promise.all([disconnect(a), disconnect(b)]);
  });

  await check(`${transport}: subscribe and at once publish on one connection`, async () => {
    const c = await connect(transport);
    for (let i = 0; i < 20; i++) {
      const inbox = new Inbox();
      const s = c.subscribe(`${base}/at-once`, (m) => inbox.put(m));
      c.publish({ destination: `${base}/at-once`, body: `m${i}` });
      same((await inbox.next()).body, `m${i}`);
      s.unsubscribe();
    }
    await disconnect(c);
  });

  await check(`${transport}: wildcards + and #`, async () => {
    const c = await connect(transport);
    const plus = await subscribe(c, `${base}/+/c`);
    const hash = await subscribe(c, `${base}/#`);
    for (const topic of ['a/c', 'b/c', 'a/d', 'a/b/c']) await publish(c, `${base}/${topic}`, topic);
    const [one, all] = [await plus.take(2), await hash.take(4)];
    same(bodies(one), ['a/c', 'b/c']);
    same(bodies(all), ['a/c', 'b/c', 'a/d', 'a/b/c']);
    same(all.map((m) => m.headers.destination), ['a/c', 'b/c', 'a/d', 'a/b/c'].map((t) => `${base}/${t}`));
    await disconnect(c);
  });

  await check(`${transport}: a binary body`, async () => {
    const c = await connect(transport);
    const inbox = await subscribe(c, `${base}/binary`);
    const binaryBody = Uint8Array.from({ length: 4096 }, (_, i) => i % 256);
    c.publish({ destination: `${base}/binary`, binaryBody, headers: { 'content-type': 'application/octet-stream' } });
    const m = await inbox.next();
    ok(Buffer.from(m.binaryBody).equals(Buffer.from(binaryBody)), 'the bytes that were sent');
    same(m.headers['content-length'], '4096');
    await disconnect(c);
  });

  await check(`${transport}: a durable subscription keeps messages while away, in order`, async () => {
    const device = { connectHeaders: { 'client-id': `js-durable-${transport}` } };
    const durable = { id: 'd1', durable: 'true' };
    const first = await connect(transport, device);
    const before = await subscribe(first, `${base}/durable/+`, durable);
    await publish(first, `${base}/durable/x`, 'while here');
    same((await before.next()).body, 'while here');
    await disconnect(first);

    const sent = Array.from({ length: 10 }, (_, i) => `while away ${i}`);
    const other = await connect(transport);
    for (const body of sent) await publish(other, `${base}/durable/${body.at(-1)}`, body);
    await disconnect(other);

    const back = await connect(transport, device);
    const after = await subscribe(back, `${base}/durable/+`, durable);
    same(bodies(await after.take(10)), sent);
    await receipt(back, (r) => after.subscription.unsubscribe({ durable: 'true', ...r }));
    await disconnect(back);
  });

  await check(`${transport}: a durable subscription with client-individual repeats what was not acknowledged`, async () => {
    const device = { connectHeaders: { 'client-id': `js-ack-${transport}` } };
    const durable = { id: 'd2', durable: 'true', ack: 'client-individual' };
    const first = await connect(transport, device);
    const before = await subscribe(first, `${base}/ack`, durable);
    for (const body of ['one', 'two']) await publish(first, `${base}/ack`, body);
    const [one, two] = await before.take(2);
    same(bodies([one, two]), ['one', 'two']);
    await receipt(first, (r) => one.ack(r));
    await disconnect(first);

    const back = await connect(transport, device);
    const after = await subscribe(back, `${base}/ack`, durable);
    const again = await after.next();
    same([again.body, again.headers['message-id']], ['two', two.headers['message-id']]);
    await receipt(back, (r) => again.ack(r));
    await receipt(back, (r) => after.subscription.unsubscribe({ durable: 'true', ...r }));
    await disconnect(back);
  });

  await check(`${transport}: transaction: COMMIT and ABORT`, async () => {
    const c = await connect(transport);
    const inbox = await subscribe(c, `${base}/tx`);
    const dropped = c.begin();
    c.publish({ destination: `${base}/tx`, body: 'never', headers: { transaction: dropped.id } });
    dropped.abort();
    const kept = c.begin();
    c.publish({ destination: `${base}/tx`, body: 'in the transaction', headers: { transaction: kept.id } });
    await publish(c, `${base}/tx`, 'outside');
    kept.commit();
    same(bodies(await inbox.take(2)), ['outside', 'in the transaction']);
    await disconnect(c);
  });

  await check(`${transport}: 1 s heart-beats survive 4 s without a message`, async () => {
    const faults = [];
    let beats = 0;
    const c = await connect(transport, {
      heartbeatIncoming: 1000, heartbeatOutgoing: 1000,
      onHeartbeatReceived: () => { beats++; }, onHeartbeatLost: () => faults.push('heart-beat lost'),
    });
    same(c.hello['heart-beat'], '1000,1000');
    c.onWebSocketClose = () => faults.push('closed');
    await sleep(4000);
    same(faults, []);
    ok(beats >= 2 && beats <= 6, `${beats} beats in 4 s`);
    await publish(c, `${base}/alive`, 'still here');
    await disconnect(c);
  });

  await check(`${transport}: ERROR for a bad destination, with its reason`, async () => {
    const c = await connect(transport);
    c.publish({ destination: `${base}/#/bad`, body: 'x', headers: { receipt: 'bad-1' } });
    const frame = await c.faults.next('ERROR');
    same(frame.headers['receipt-id'], 'bad-1');
    ok(`${frame.headers.message} ${frame.body}`.includes(`${base}/#/bad`), `it says what: ${frame.headers.message} ${frame.body}`);
    await disconnect(c);
  });
}

end();
