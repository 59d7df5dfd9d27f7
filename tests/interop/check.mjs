// What both node clients' scripts share: named checks, and waiting with a limit.

const patience = 20000; // for what must happen, on a busy machine

export { deepStrictEqual as same, ok } from 'node:assert/strict';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// within gives up on a promise that is not settled in time.
export function within(promise, what, ms = patience) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Inbox takes what callbacks bring, to be awaited in order.
export class Inbox {
  #items = [];
  #waiting = [];

  put(item) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(item);
    else this.#items.push(item);
  }

  next(what = 'message') {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), what);
  }

  async take(n) {
    const all = [];
    while (all.length < n) all.push(await this.next(`message ${all.length + 1} of ${n}`));
    return all;
  }
}

// checker prints a line for each check; end says that none was left out.
export function checker(client) {
  let failed = 0;
  return {
    async check(what, f) {
      try {
        await f();
        console.log(`ok  ${client}  ${what}`);
      } catch (err) {
        failed++;
        console.log(`FAIL  ${client}  ${what}: ${String(err.message).split('\n').join(' ')}`);
        console.error(`${what}: ${err.stack}`);
      }
    },
    end() {
      console.log(`end  ${client}`);
      process.exit(failed === 0 ? 0 : 1);
    },
  };
}

export function address(name) {
  const [host, port] = process.env[name].split(':');
  return { host, port: Number(port) };
}
