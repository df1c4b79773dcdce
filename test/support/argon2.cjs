// What `@node-rs/argon2` is in the tests: the same functions, at the lowest cost at which argon2 works. At the cost of the service a third of
// what the tests take would be hashing, twice for each person that they make. A file that says `@hashes in-full` in its first comment has
// that cost: it is about hashes, or about how long they take.
const argon2 = require('../../node_modules/@node-rs/argon2');

const lowest = { memoryCost: 8, timeCost: 1 };
const costOf = (options) => (globalThis[Symbol.for('holdfast hashes in full')] ? options : { ...options, ...lowest });

module.exports = { ...argon2, hash: (password, options) => argon2.hash(password, costOf(options)) };
