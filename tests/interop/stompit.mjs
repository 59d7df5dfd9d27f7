// stompit, a STOMP client of node that streams bodies: over tcp.
import { randomBytes } from 'node:crypto';
import stompit from 'stompit';
import { Inbox, address, checker, ok, same, sleep, within } from './check.mjs';

const { check, end } = checker('stompit');

// connect gives a client whose errors can be awaited.
async function connect(options = {}) {
  const client = await within(new Promise((resolve, reject) => {
    const c = stompit.connect({ ...address('STOMP_TCP'), timeout: 15000, ...options },
      (err) => (err ? reject(err) : resolve(c)));
  }), 'CONNECTED');
  client.errors = new Inbox();
  client.on('error', (err) => client.errors.put(err));
  return client;
}

const disconnect = (client) => within(new Promise((resolve, reject) =>
  client.disconnect((err) => (err ? reject(err) : resolve()))), 'RECEIPT of DISCONNECT');

// receipt turns an operation with stompit's onReceipt into a promise.
const receipt = (operation) => within(new Promise((onReceipt, onError) => operation({ onReceipt, onError })), 'RECEIPT');

const send = (client, headers, body) => receipt((o) => client.send(headers, o).end(body));

function subscribe(client, headers) {
  const inbox = new Inbox();
  client.subscribe(headers, (err, message) => {
    if (err) return inbox.put({ err });
    const chunks = [];
    message.on('data', (chunk) => chunks.push(chunk));
    message.on('end', () => inbox.put({ message, headers: message.headers, body: Buffer.concat(chunks) }));
  });
  return inbox;
}

const bodies = (messages) => messages.map((m) => m.body.toString());

await check('CONNECT, CONNECTED', async () => {
  const c = await connect();
  same(c.headers.version, '1.2');
  ok(c.headers.session, 'a session header');
  await disconnect(c);
});

await check('SUBSCRIBE and at once SEND on one connection', async () => {
  const c = await connect();
  for (let i = 0; i < 20; i++) {
    const inbox = subscribe(c, { destination: `/topic/stompit/at-once/${i}` });
    c.send({ destination: `/topic/stompit/at-once/${i}` }).end(`m${i}`);
    same((await inbox.next()).body.toString(), `m${i}`);
  }
  await disconnect(c);
});

await check('SEND with receipt, headers and a binary body', async () => {
  const c = await connect();
  const inbox = subscribe(c, { destination: 'stompit/binary' });
  const body = Buffer.concat([randomBytes(4000), Buffer.from([0, 10, 0, 13, 255])]);
  const own = { colour: 'a:b', 'na:me': 'c:d' }; // only in a name does a client notice a colon that is not escaped
  await send(c, { destination: 'stompit/binary', 'content-length': body.length, 'content-type': 'image/png', ...own }, body);
  const m = await inbox.next();
  ok(m.body.equals(body), 'the bytes that were sent');
  same([m.headers.destination, m.headers['content-type']], ['stompit/binary', 'image/png']);
  same({ colour: m.headers.colour, 'na:me': m.headers['na:me'] }, own);
  await disconnect(c);
});

await check('client-individual ACK on a queue', async () => {
  const c = await connect();
  for (const body of ['one', 'two', 'three']) await send(c, { destination: '/queue/stompit-ack' }, body);
  const first = await subscribe(c, { destination: '/queue/stompit-ack', ack: 'client-individual' }).take(3);
  same(bodies(first), ['one', 'two', 'three']);
  await receipt((o) => c.ack(first[1].message, {}, o)); // only "two"
  await disconnect(c);

  const again = await connect(); // what was not acknowledged comes again
  const rest = await subscribe(again, { destination: '/queue/stompit-ack', ack: 'client-individual' }).take(2);
  same(bodies(rest).sort(), ['one', 'three']);
  for (const m of rest) await receipt((o) => again.ack(m.message, {}, o));
  await disconnect(again);

  const last = await connect(); // nothing is left but what comes now
  const inbox = subscribe(last, { destination: '/queue/stompit-ack', ack: 'auto' });
  await send(last, { destination: '/queue/stompit-ack' }, 'four');
  same(bodies(await inbox.take(1)), ['four']);
  await disconnect(last);
});

await check('NACK delivers again', async () => {
  const c = await connect();
  const inbox = subscribe(c, { destination: '/queue/stompit-nack', ack: 'client-individual' });
  await send(c, { destination: '/queue/stompit-nack' }, 'again');
  const first = await inbox.next();
  ok(first.headers.redelivered !== 'true', 'the first is no repeat');
  await receipt((o) => c.nack(first.message, {}, o));
  const second = await inbox.next();
  same([second.body.toString(), second.headers.redelivered], ['again', 'true']);
  same(second.headers['message-id'], first.headers['message-id']);
  await receipt((o) => c.ack(second.message, {}, o));
  await disconnect(c);
});

await check('a queue shares its messages among subscribers', async () => {
  const [a, b] = [await connect(), await connect()];
  const all = new Inbox();
  for (const c of [a, b]) {
    c.subscribe({ destination: '/queue/stompit-share', ack: 'auto' }, (err, m) => err || m.readString('utf-8', (_, s) => all.put(s)));
  }
  const sent = Array.from({ length: 20 }, (_, i) => `job ${i}`);
  for (const job of sent) await send(a, { destination: '/queue/stompit-share' }, job);
  same((await all.take(20)).sort(), sent.toSorted());
  await Promise.all([disconnect(a), disconnect(b)]);
});

await check('1 s heart-beats survive 4 s without a message', async () => {
  const c = await connect({ connectHeaders: { 'heart-beat': '1000,1000' } });
  same(c.headers['heart-beat'], '1000,1000');
  const before = c.getTransportSocket().bytesRead;
  await Promise.race([sleep(4000), c.errors.next().then((err) => { throw err; }, () => {})]);
  const beats = c.getTransportSocket().bytesRead - before;
  ok(beats >= 2 && beats <= 6, `${beats} beats in 4 s`);
  await send(c, { destination: 'stompit/alive' }, 'still here');
  await disconnect(c);
});

await check('transaction: COMMIT stores all, in order', async () => {
  const c = await connect();
  const inbox = subscribe(c, { destination: 'stompit/tx' });
  const tx = c.begin();
  tx.send({ destination: 'stompit/tx' }).end('first');
  tx.send({ destination: 'stompit/tx' }).end('second');
  await send(c, { destination: 'stompit/tx' }, 'outside');
  same(bodies(await inbox.take(1)), ['outside']); // nothing of the transaction yet
  await receipt((o) => tx.commit(o));
  same(bodies(await inbox.take(2)), ['first', 'second']);
  await disconnect(c);
});

await check('transaction: ABORT stores none', async () => {
  const c = await connect();
  const inbox = subscribe(c, { destination: 'stompit/abort' });
  const tx = c.begin();
  tx.send({ destination: 'stompit/abort' }).end('never');
  await receipt((o) => tx.abort(o));
  await send(c, { destination: 'stompit/abort' }, 'marker');
  same(bodies(await inbox.take(1)), ['marker']);
  await disconnect(c);
});

await check('UNSUBSCRIBE ends delivery', async () => {
  const c = await connect();
  const inbox = new Inbox();
  const sub = c.subscribe({ destination: 'stompit/off' }, (err, m) => err || m.readString('utf-8', (_, s) => inbox.put(s)));
  const on = subscribe(c, { destination: 'stompit/+' });
  await send(c, { destination: 'stompit/off' }, 'before');
  same([await inbox.next(), ...bodies(await on.take(1))], ['before', 'before']);
  sub.unsubscribe();
  await send(c, { destination: 'stompit/off' }, 'after');
  same(bodies(await on.take(1)), ['after']);
  same(c.getSubscription(sub.getId()), undefined); // its receipt has come
  await disconnect(c);
});

await check('ERROR for a bad destination, with its reason', async () => {
  const c = await connect();
  c.send({ destination: 'stompit/+/bad' }).end('x');
  const err = await c.errors.next('ERROR'); // stompit calls it a transport error later, but keeps the frame's message
  ok(err.message.includes('stompit/+/bad'), `it says what is wrong: ${err.message}`);
});

end();
