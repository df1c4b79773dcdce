// What `@node-rs/argon2` is in the tests: the same functions, at the lowest cost at which argon2 works. At the cost of the service a third of
// what the tests take would be hashing, twice for each person that they make. test/passwords.test.ts, which is about hashes, takes the package.
const argon2 = require('../../node_modules/@node-rs/argon2');

const lowest = { memoryCost: 8, timeCost: 1 };

module.exports = { ...argon2, hash: (password, options) => argon2.hash(password, { ...options, ...lowest }) };
