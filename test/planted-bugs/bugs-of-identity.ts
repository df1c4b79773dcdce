import type { PlantedBug } from './bugs.ts';

const users = 'src/modules/users';

/** Mistakes in who is let in, and in what ends that. */
export const bugsOfIdentity: readonly PlantedBug[] = [
  {
    name: 'a token is believed without a look at its session',
    harm: 'Whoever was logged out, disabled or demoted goes on moving money until the token expires.',
    changes: [
      {
        file: 'src/http/principal.guard.ts',
        text: '(isOwnRead ? this.standings.recently(claimed) : this.standings.now(claimed))',
        replacement: 'Promise.resolve(isOwnRead ? claimed : claimed)',
      },
    ],
    caughtBy: {
      file: 'test/withdrawn-access.test.ts',
      tests: ['what is for operators is closed at once, and what others own is not found'],
    },
    saying: /-\s+403,/,
  },
  {
    name: 'a refresh token ends its session at any second use',
    harm: 'Two tabs that refresh at the same moment log the person out.',
    changes: [
      {
        file: `${users}/sessions.service.ts`,
        text: 'if (isAlive && mayBeRepeated) return rotated;',
        replacement: 'if (isAlive && mayBeRepeated && isFirstUse) return rotated;',
      },
    ],
    caughtBy: {
      file: 'test/sessions.test.ts',
      tests: ['by several at once with one token gives all of them the same next one, which works'],
    },
    saying: /\+\s+401,/,
  },
  {
    name: 'a refresh token may be repeated after its successor was used',
    harm: 'Who has stolen a token is not noticed by the use of a later one.',
    changes: [
      {
        file: `${users}/sessions.repository.ts`,
        text: 'n.hash = ${successor} AND n.used_at IS NULL',
        replacement: 'n.hash = ${successor}',
      },
    ],
    caughtBy: {
      file: 'test/sessions.test.ts',
      tests: ['again after a lost answer gives the same next token, until that was used'],
    },
    saying: /expected 401 "Unauthorized", got 201/,
  },
  {
    name: 'two operators may take the role from each other',
    harm: 'Nobody is left who runs the shop.',
    changes: [
      {
        file: `${users}/access.service.ts`,
        text: "if (operator?.role !== 'operator' || operator.disabledAt !== null)",
        replacement: 'if (operator === undefined)',
      },
    ],
    caughtBy: { file: 'test/access.test.ts', tests: ['cannot be taken by two operators from each other'] },
    saying: /toContainEqual/,
  },
  {
    name: 'an e-mail address is folded before it is looked at',
    harm: 'A sign-up with a look-alike is for somebody else’s address.',
    changes: [
      {
        file: 'src/kernel/email.ts',
        text: '!trimmed.isWellFormed() || becomesAscii(trimmed)',
        replacement: "!trimmed.isWellFormed() || becomesAscii('')",
      },
    ],
    caughtBy: { file: 'test/names.test.ts', tests: ['is not turned into somebody else’s'] },
    saying: /expected 422 "Unprocessable Entity", got 409/,
  },
  {
    name: 'a known device is counted with the strangers',
    harm: 'Whoever is behind the same address as a guesser is locked out.',
    changes: [
      {
        file: 'src/http/quotas.guard.ts',
        text: 'if (this.isKnownDevice(request)) {',
        replacement: 'if (this.isKnownDevice(request) && request.ip === "") {',
      },
    ],
    caughtBy: {
      file: 'test/log-in-quotas.test.ts',
      tests: ['by who is at the same address, on a device on which they were logged in before'],
    },
    saying: /expected 201 "Created", got 429/,
  },
  {
    name: 'passwords are hashed as they are typed',
    harm: 'A password does not open on another keyboard.',
    changes: [
      {
        file: `${users}/passwords.ts`,
        text: "typed.normalize('NFKC')",
        replacement: 'typed',
      },
      { file: `${users}/users.schema.ts`, text: "  .normalize('NFKC')\n", replacement: '' },
    ],
    caughtBy: { file: 'test/passwords.test.ts', tests: ['is the same %s'] },
    saying: /expected 201 "Created", got 401/,
  },
];
