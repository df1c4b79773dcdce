import type { PlantedBug } from './bugs.ts';

/** Mistakes in what a request may cost, and in how it is answered. */
export const bugsOfHttp: readonly PlantedBug[] = [
  {
    name: 'an answer may be as long as what people have stored',
    harm: 'A page of the largest orders, each with its products, is tens of megabytes, and a few requests take the memory.',
    changes: [
      {
        file: 'src/http/pages/answer-size.ts',
        text: 'const fits = this.isEmpty || this.size + size <= this.most;',
        replacement: 'const fits = true;',
      },
    ],
    caughtBy: {
      file: 'test/costly-requests.test.ts',
      tests: ['makes no answer that is long, whatever is asked for and expanded'],
    },
    saying: /\+\s+"\/v1\/[^"]*: \d+"/,
  },
  {
    name: 'a body may hold any number of values',
    harm: 'A megabyte of empty objects blocks the event loop for seconds, and four of them end the process.',
    changes: [
      { file: 'src/http/input/json-scan.ts', text: 'if (values > mostValues)', replacement: 'if (values > Infinity)' },
    ],
    caughtBy: { file: 'test/costly-requests.test.ts', tests: ['may hold 32,768 values, and no more'] },
    saying: /\+\s+"(validation-failed|batch-too-large)"/,
  },
  {
    name: 'a body may be nested as deep as it is long',
    harm: 'Whatever walks through it recursively runs out of stack.',
    changes: [
      { file: 'src/http/input/json-scan.ts', text: 'if (depth > deepestJson)', replacement: 'if (depth > Infinity)' },
    ],
    caughtBy: { file: 'test/input.test.ts', tests: ['takes JSON that is 32 deep, and none that is deeper'] },
    saying: /expected 400 "Bad Request", got 422/,
  },
  {
    name: 'the elements of a list are looked at before their number',
    harm: 'A list that is too long costs three issues for each of its elements before it is refused.',
    changes: [
      {
        file: 'src/http/input/list-lengths.ts',
        text: 'if (value.length > most) return { path: [], most, refusal };',
        replacement: '',
      },
    ],
    caughtBy: {
      file: 'test/input.test.ts',
      tests: ['stays on its feet when a body is nested as deep as it can be, or has thousands of items or members'],
    },
    saying: /-\s+"code": "batch-too-large",\s+\+\s+"code": "validation-failed"/,
  },
  {
    name: 'HEAD of what is known already is answered as GET is',
    harm: 'Whoever asks whether anything is new, and wants no body, is answered 500.',
    changes: [
      {
        file: 'src/http/conditional/etags.ts',
        text: "return request.method === 'HEAD' ? Readable.from([]) : null;",
        replacement: 'return null;',
      },
    ],
    caughtBy: {
      file: 'test/conditional-requests.test.ts',
      tests: ['has the status and the header fields of GET, %s'],
    },
    saying: /-\s+304,\s+\+\s+500,/,
  },
  {
    name: 'an answer that its reader has is sent again',
    harm: 'A phone that asks whether anything is new loads all of it each time.',
    changes: [
      {
        file: 'src/http/conditional/etags.ts',
        text: "return known === 'any' || match !== undefined ?",
        replacement: "return known === 'any' ?",
      },
    ],
    caughtBy: {
      file: 'test/conditional-requests.test.ts',
      tests: ['are evaluated in the order of RFC 9110, with the tag of each coding'],
    },
    saying: /Expected: 304\s+Received: 200/,
  },
  {
    name: 'who may use a route of operators is told by the token alone',
    harm: 'Whoever was just made an operator is turned away until the token has expired.',
    changes: [
      {
        file: 'src/http/access/access-check.ts',
        text: 'const principal = await standings.now(claimed);',
        replacement: 'const principal = claimed;',
      },
    ],
    caughtBy: {
      file: 'test/withdrawn-access.test.ts',
      tests: ['after a role was given, the token that was signed before opens what is for operators'],
    },
    saying: /expected 200 "OK", got 403/,
  },
  {
    name: 'the body of who may not use a route is read',
    harm: 'Anybody may send a megabyte to each route of operators, and all of it is read before it is refused.',
    changes: [
      {
        file: 'src/http/access/access-check.ts',
        text: "if (access !== 'operator' || claimed.role === 'operator') return done();",
        replacement: "if (access !== 'operator' || claimed.role !== 'operator') return done();",
      },
    ],
    caughtBy: {
      file: 'test/withdrawn-access.test.ts',
      tests: ['whoever may not use a route is refused before its body is there'],
    },
    saying: /-\s+403,\s+-\s+"not-allowed",\s+\+\s+408,/,
  },
];
