// Every kind of outside work that Node publishes, as a library starts it: the test also loads a copy of this file from a node_modules
// folder. Each settles, whatever becomes of the work.
const { exec, execFile, fork, spawn } = require('node:child_process');
const { createSocket } = require('node:dgram');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');
const { Worker } = require('node:worker_threads');

const ended = (emitter, ...events) =>
  new Promise((resolve, reject) => {
    emitter.on('error', reject);
    for (const event of events) emitter.on(event, resolve);
  });

const got = (request) =>
  new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode)));
  });

const called = (start) => new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));

// Secrets in the path and in front of the host must not come up in an error or a log line.
const path = '/pay?token=hunter2';

module.exports = {
  fetch: async ({ port }) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: 'hunter2' })).text(),
  webSocket: ({ port }) =>
    new Promise((resolve, reject) => {
      const socket = new globalThis.WebSocket(`ws://127.0.0.1:${port}${path}`);
      socket.onerror = () => reject(new Error('the WebSocket failed'));
      socket.onopen = resolve;
    }),
  http: ({ port, agent }) => got(http.get({ host: '127.0.0.1', port, path, auth: 'user:hunter2', agent })),
  https: ({ port }) => got(https.get({ host: '127.0.0.1', port, path })),
  net: ({ tcpPort }) => {
    const socket = net.connect(tcpPort, '127.0.0.1');
    socket.end('hunter2');
    return ended(socket.resume(), 'close');
  },
  unixSocket: ({ socketPath }) => {
    const socket = net.connect(socketPath);
    socket.end('hunter2');
    return ended(socket.resume(), 'close');
  },
  tls: ({ tcpPort }) => ended(tls.connect(tcpPort, '127.0.0.1'), 'close'),
  http2: ({ http2Port }) => {
    const session = http2.connect(`http://127.0.0.1:${http2Port}`);
    session.on('error', () => undefined);
    return ended(session.request({ ':path': path }).resume(), 'close').finally(() => session.destroy());
  },
  http2Session: ({ session }) => ended(session.request({ ':path': path }).resume(), 'close'),
  udp: ({ udpPort }) => {
    const socket = createSocket('udp4');
    return called((done) => socket.send('hunter2', udpPort, '127.0.0.1', done)).finally(() => socket.close());
  },
  spawn: () => ended(spawn(process.execPath, ['-e', '']), 'close'),
  exec: () => called((done) => exec('sleep 0.2', done)),
  execFile: () => called((done) => execFile('sleep', ['0.2'], done)),
  fork: ({ script }) => ended(fork(script), 'close'),
  worker: () => ended(new Worker('', { eval: true }), 'exit'),
};
