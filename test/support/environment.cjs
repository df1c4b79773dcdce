const { channel } = require('node:diagnostics_channel');
const { setTimeout: sleep } = require('node:timers/promises');
const { TestEnvironment } = require('jest-environment-node');
require('./compiled.cjs');

const TOLD = Symbol.for('holdfast errors of the services');
// What is being closed at the end of a file may take as long on a busy machine.
const closedWithinMs = 10_000;

const isWorker = process.send !== undefined;
// A worker that has nothing left to do ends here: to give back the memory of all files takes longer than the half second that Jest waits.
if (isWorker) process.once('beforeExit', () => process.exit());

// A timer with a time that is negative or too long fires at once, and what is listened to and never let go grows: each is a mistake of ours.
const warnings = [];
process.on('warning', (warning) => {
  if (/^(Timeout\w+|MaxListenersExceeded)Warning$/.test(warning.name)) warnings.push(warning);
});

module.exports = class HoldfastEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    // Each is opened at its first use, whoever that is, and stays open.
    void [process.stdout, process.stderr];
    this.openBefore = countOpen();
  }

  async handleTestEvent(event, state) {
    if (event.name === 'test_done') this.#showTold(event.test);
    if (event.name === 'run_finish') this.#demandNoWarning(state);
    if (event.name === 'run_finish' && isWorker) await this.#demandClosed(state);
  }

  /** A failed test shows what the services of its file have told meanwhile: "expected 201, got 500" says nothing of why. */
  #showTold(test) {
    const told = this.global[TOLD] ?? [];
    this.global[TOLD] = [];
    if (test.errors.length === 0 || told.length === 0) return;
    const text = ['What the service told while this test ran:', ...told].join('\n\n');
    // Jest prints the stack of an error, and of a stack the lines of its message as they are.
    test.errors.push(Object.assign(new Error(text), { stack: text }));
  }

  /** A file fails during which Node has warned of a timer or of listeners. */
  #demandNoWarning({ unhandledErrors }) {
    for (const { name, message, stack } of warnings.splice(0))
      unhandledErrors.push(Object.assign(new Error(message), { stack: `${name}: ${message}\n${stack}` }));
  }

  /** A file that leaves something open fails: its worker could not end. In Jest's own process that cannot be told from what Jest has open. */
  async #demandClosed({ unhandledErrors }) {
    const until = performance.now() + closedWithinMs;
    while (openSince(this.openBefore).length > 0 && performance.now() < until) await sleep(20);
    const open = openSince(this.openBefore);
    if (open.length === 0) return;
    const text = `This file leaves something open: ${open.join(', ')}. Close it in afterAll.`;
    unhandledErrors.push(Object.assign(new Error(text), { stack: text }));
  }
};

/** What keeps this process from ending, by kind. */
function countOpen() {
  const counts = new Map();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  for (const name of watched) if (channel(name).hasSubscribers) counts.set(`service that watches ${name}`, 1);
  return counts;
}

// Watched by every service that runs in this process, until it is closed.
const watched = ['child_process', 'net.client.socket'];

function openSince(before) {
  const more = [...countOpen()].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)]);
  return more.filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`);
}
