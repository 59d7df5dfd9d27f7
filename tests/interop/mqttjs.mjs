// mqtt, the MQTT client of node, on nats-server's own listener: with an MQTT-SN
// device on the other side. The mountpoint is iot/.
import { spawn } from 'node:child_process';
import mqtt from 'mqtt';
import { Inbox, address, checker, ok, same, within } from './check.mjs';

const { check, end } = checker('mqtt.js');

// connect gives a client with an inbox that is there before any message.
function connect(options = {}) {
  const client = mqtt.connect({ ...address('MQTT'), protocolVersion: 4, reconnectPeriod: 0, ...options });
  client.inbox = new Inbox();
  client.on('message', (topic, payload, packet) => client.inbox.put({ topic, body: payload.toString(), qos: packet.qos }));
  return within(new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client));
    client.once('error', reject);
  }), 'CONNACK');
}

const publish = (c, topic, body) => within(c.publishAsync(topic, body, { qos: 1 }), 'PUBACK');
const subscribe = (c, filter) => within(c.subscribeAsync(filter, { qos: 1 }), 'SUBACK');

const echo = spawn(process.env.SNECHO, [process.env.MQTTSN, 'mqttjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
await within(new Promise((resolve) => echo.stdout.once('data', resolve)), 'device that has subscribed');

await check('QoS 1 to an MQTT-SN device, in order; its answers come as all of NATS does, with QoS 0', async () => {
  const c = await connect();
  const granted = await subscribe(c, 'iot/mqttjs/from/+');
  same(granted[0].qos, 1);
  for (let i = 0; i < 20; i++) await publish(c, 'iot/mqttjs/to/order', `m${i}`); // the device insists on QoS 1
  const all = await c.inbox.take(20);
  same(all.map((m) => m.body), Array.from({ length: 20 }, (_, i) => `m${i}`));
  ok(all.every((m) => m.qos === 0 && m.topic === 'iot/mqttjs/from/order'), 'on the topic of the device');
  await c.endAsync();
});

await check('a persistent session gets what another client published while it was away, and so does the device', async () => {
  const options = { clientId: 'mqttjs-session', clean: false };
  const c = await connect(options);
  await subscribe(c, 'iot/mqttjs/to/away');
  await c.endAsync();
  const other = await connect();
  await subscribe(other, 'iot/mqttjs/from/away');
  await publish(other, 'iot/mqttjs/to/away', 'kept');
  same((await other.inbox.next()).body, 'kept');
  const back = await connect(options);
  const kept = await back.inbox.next();
  same([kept.body, kept.qos], ['kept', 1]);
  await other.endAsync();
  await back.endAsync();
});

echo.kill();
end();
