import type { PlantedBug } from './bugs.ts';

const modules = 'src/modules';

/** Mistakes in who is let in, and in what ends that. */
export const bugsOfIdentity: readonly PlantedBug[] = [
  {
    name: 'a token is believed without a look at its session',
    harm: 'Whoever was logged out, disabled or demoted goes on moving money until the token expires.',
    changes: [
      {
        file: 'src/http/access/principal.guard.ts',
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
        file: `${modules}/sessions/sessions.service.ts`,
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
        file: `${modules}/sessions/sessions.repository.ts`,
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
        file: `${modules}/access/access.service.ts`,
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
        file: 'src/http/limits/quotas.guard.ts',
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
        file: `${modules}/users/passwords.ts`,
        text: "typed.normalize('NFKC')",
        replacement: 'typed',
      },
      { file: `${modules}/users/passwords.ts`, text: "text(200)\n  .normalize('NFKC')\n", replacement: 'text(200)\n' },
    ],
    caughtBy: { file: 'test/passwords.test.ts', tests: ['is the same %s'] },
    saying: /expected 201 "Created", got 401/,
  },
  {
    name: 'the log-out leaves what this instance has seen of the session',
    harm: 'Whoever has logged out goes on reading for some seconds, or somebody with their token.',
    changes: [
      {
        file: `${modules}/sessions/sessions.service.ts`,
        text: 'for (const { id, userId } of ended) {\n      this.standings.forget(userId);',
        replacement: 'for (const { id, userId } of ended) {',
      },
    ],
    caughtBy: { file: 'test/withdrawn-access.test.ts', tests: ['reads end at once as well after %s'] },
    saying: /expected 401 .*, got 200/,
  },
  {
    name: 'a role that is taken away leaves what this instance has seen of it',
    harm: 'Who is no operator any more goes on reading everybody’s accounts for some seconds.',
    changes: [
      {
        file: `${modules}/access/access.service.ts`,
        text: 'afterCommit(() => {\n      this.standings.forget(userId);',
        replacement: 'afterCommit(() => {',
      },
    ],
    caughtBy: {
      file: 'test/withdrawn-access.test.ts',
      tests: ['what others own is not found at once after the role was taken away'],
    },
    saying: /expected 404 .*, got 200/,
  },
  {
    name: 'a refresh token may be repeated for hours',
    harm: 'Whoever has stolen a token gets the next one.',
    changes: [
      {
        file: `${modules}/sessions/sessions.repository.ts`,
        text: 'make_interval(secs => ${repeatSeconds})',
        replacement: 'make_interval(hours => ${repeatSeconds})',
      },
    ],
    caughtBy: { file: 'test/sessions.test.ts', tests: ['again works for ten seconds only'] },
    saying: /expected 401 .*, got 201/,
  },
  {
    name: 'a session lives as long as it is refreshed',
    harm: 'A stolen session never ends.',
    changes: [
      {
        file: `${modules}/sessions/sessions.repository.ts`,
        text: 'created_at + make_interval(secs => ${lives.sessionSeconds})',
        replacement: 'statement_timestamp() + make_interval(secs => ${lives.sessionSeconds})',
      },
    ],
    caughtBy: { file: 'test/sessions.test.ts', tests: ['does not keep a session alive for ever'] },
    saying: /expected 401 .*, got 201/,
  },
  {
    name: 'who logs out needs an access token that is good',
    harm: 'A session that was left open cannot be ended after a quarter of an hour.',
    changes: [
      {
        file: 'src/http/access/authentication.ts',
        text: 'this.tokens.readOver(token)',
        replacement: 'this.tokens.read(token, this.clock.now())',
      },
    ],
    caughtBy: { file: 'test/sessions.test.ts', tests: ['works with an access token that is over'] },
    saying: /expected 204 .*, got 401/,
  },
  {
    name: 'another password leaves the other sessions as they are',
    harm: 'Whoever was logged in with the stolen password stays logged in.',
    changes: [
      {
        file: `${modules}/passwords/passwords.service.ts`,
        text: "await this.sessions.endAll(userId, 'password_changed', sessionId);",
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/passwords.test.ts',
      tests: ['is changed by who knows the present one; the other sessions end, this one stays'],
    },
    saying: /expected 401 .*, got 200/,
  },
  {
    name: 'a session may begin with a password that was changed meanwhile',
    harm: 'A log-in that was under way outlives the change that was to shut it out.',
    changes: [
      {
        file: `${modules}/sessions/sessions.repository.ts`,
        text: 'AND password_hash = ${user.passwordHash} AND disabled_at',
        replacement: "AND ${user.passwordHash} <> '' AND disabled_at",
      },
    ],
    caughtBy: {
      file: 'test/access.test.ts',
      tests: ['that are begun while the user is disabled, or the password changed, do not survive it'],
    },
    saying: /Expected: <= 1/,
  },
  {
    name: 'another e-mail address needs no password',
    harm: 'A stolen token takes the whole account over.',
    changes: [
      {
        file: `${modules}/users/users.service.ts`,
        text: 'if (isOwn && !isProven)',
        replacement: "if (isOwn && !isProven && email === '')",
      },
    ],
    caughtBy: {
      file: 'test/access.test.ts',
      tests: ['needs the present password, and the old one is kept for the news'],
    },
    saying: /expected 422 .*, got 200/,
  },
  {
    name: 'anybody’s password is tried by an edit',
    harm: 'A stolen token of anybody guesses the passwords of everybody.',
    changes: [
      {
        file: `${modules}/users/users.service.ts`,
        text: 'currentPassword !== undefined && id === principal.userId;',
        replacement: 'currentPassword !== undefined;',
      },
    ],
    caughtBy: {
      file: 'test/access.test.ts',
      tests: ['of somebody else is not found whatever password is given: nobody’s can be tried this way'],
    },
    saying: /expected 404 .*, got 422/,
  },
  {
    name: 'a reset outlives that its user was disabled',
    harm: 'Whoever had a token handed out comes back with it.',
    changes: [
      {
        file: `${modules}/access/access.service.ts`,
        text: 'await this.passwords.withdrawResets(userId);',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/passwords.test.ts',
      tests: ['that was made before the user was disabled is over when they are enabled again'],
    },
    saying: /expected 401 .*, got 204/,
  },
  {
    name: 'the next refresh token is derived without the secret',
    harm: 'Whoever has an old token of a session knows all that came of it.',
    changes: [
      {
        file: `${modules}/sessions/session-tokens.ts`,
        text: "hkdfSync('sha256', lives.secret, ",
        replacement: "hkdfSync('sha256', '', ",
      },
    ],
    caughtBy: {
      file: 'test/derived-secrets.test.ts',
      tests: ['is the same on every instance, and another one with another secret: %s'],
    },
    saying: /Expected: not "/,
  },
  {
    name: 'guesses from many addresses are not slowed down',
    harm: 'A thousand machines try the passwords of one person as fast as they can.',
    changes: [
      {
        file: 'src/http/limits/quotas.guard.ts',
        text: "if (this.limits.isBeyond(request, 'log-in-email')) await this.slowDown(request);",
        replacement: "this.limits.isBeyond(request, 'log-in-email');",
      },
    ],
    caughtBy: {
      file: 'test/log-in-quotas.test.ts',
      tests: [
        'by strangers who guess from many addresses: beyond the bound of the e-mail everybody waits for their turn',
      ],
    },
    saying: /Expected: > 0/,
  },
  {
    name: 'a cursor is for whoever may see the list',
    harm: 'What one reader has paged through tells another one, who was given the cursor, where that one was.',
    changes: [
      {
        file: 'src/http/pages/page.ts',
        text: 'const { limit, cursor, ...filter } = query;',
        replacement: 'const { limit, cursor, reader: _, ...filter } = query;',
      },
    ],
    caughtBy: { file: 'test/pages.test.ts', tests: ['belongs to its list, its filter and its user'] },
    saying: /expected 400 "Bad Request", got 200 "OK"|"accounts",\s+200/,
  },
];
