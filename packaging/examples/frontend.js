#!/usr/bin/env node
// A front end of one file, without a package: shows what comes in, and sends
// what is typed as "name: text".
//
//   node frontend.js [SOCKET]
'use strict';
const net = require('net');
const readline = require('readline');

const path = process.argv[2] ||
    (process.env.XDG_RUNTIME_DIR || '') + '/btchatd/control.sock';

// A connection: calls are promises, events go to onEvent.
class Daemon {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.waiting = new Map();
    this.lastId = 0;
    this.socket = net.connect(path);
    readline.createInterface({ input: this.socket })
        .on('line', (line) => this.take(JSON.parse(line)));
  }

  take(message) {
    if (message.method === 'event') {
      this.onEvent(message.params);
      return;
    }
    const call = this.waiting.get(message.id);
    if (!call) return;
    this.waiting.delete(message.id);
    if (message.error) call.reject(new Error(message.error.message));
    else call.resolve(message.result);
  }

  call(method, params = {}) {
    const id = ++this.lastId;
    this.socket.write(
        JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n');
    return new Promise((resolve, reject) =>
      this.waiting.set(id, { resolve, reject }));
  }
}

// Text of others must not steer a terminal.
const plain = (text) => text.replace(
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

const names = new Map(); // id -> name
const show = (line) => process.stdout.write(line + '\n');

function onEvent(event) {
  const { type, data } = event;
  if (type === 'message.new' && data.direction === 'in' && data.text)
    show(`${plain(names.get(data.conv) || data.conv)}: ${plain(data.text)}`);
  if (type === 'message.state' && data.state === 'delivered')
    show('(delivered)');
}

async function type(daemon, line) {
  const colon = line.indexOf(':');
  const who = [...names].find(([, name]) => name === line.slice(0, colon));
  if (colon < 0 || !who) {
    show('name: text, with one of ' + [...names.values()].map(plain).join(', '));
    return;
  }
  await daemon.call('message.send',
      { conv: who[0], text: line.slice(colon + 1).trim() });
}

async function main() {
  const daemon = new Daemon(onEvent);
  daemon.socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  daemon.socket.on('close', () => process.exit(1));
  // The snapshot says what is; events from its cursor on say what changes.
  let page = {};
  let cursor;
  do {
    page = await daemon.call('sync.snapshot',
        page.next ? { after: page.next } : {});
    cursor = cursor || page.cursor;
    for (const contact of page.contacts) names.set(contact.id, contact.name);
  } while (page.next);
  await daemon.call('events.subscribe', { since: cursor });
  show('listening');
  readline.createInterface({ input: process.stdin })
      .on('line', (line) => type(daemon, line).catch(
          (error) => show(error.message)));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
