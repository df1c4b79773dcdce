const { TestEnvironment } = require('jest-environment-node');

const TOLD = Symbol.for('holdfast errors of the services');

/** A failed test shows what the services of its file have told meanwhile: "expected 201, got 500" says nothing of why. */
module.exports = class ServiceErrorsEnvironment extends TestEnvironment {
  handleTestEvent({ name, test }) {
    if (name !== 'test_done') return;
    const told = this.global[TOLD] ?? [];
    this.global[TOLD] = [];
    if (test.errors.length === 0 || told.length === 0) return;
    const text = ['What the service told while this test ran:', ...told].join('\n\n');
    // Jest prints the stack of an error, and of a stack the lines of its message as they are.
    test.errors.push(Object.assign(new Error(text), { stack: text }));
  }
};
