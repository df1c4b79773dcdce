import type { PlantedBug } from './bugs.ts';

/** Mistakes in when mail is sent, how often, and what is kept of it. */
export const bugsOfMail: readonly PlantedBug[] = [
  {
    name: 'a mail is sent before the commit of what it tells of',
    harm: 'Somebody is thanked for an order that there is not.',
    changes: [
      {
        file: 'src/modules/mails/mails.service.ts',
        text: "@Transactional({ propagation: 'mandatory' })",
        replacement: "@Transactional({ propagation: 'requires-new' })",
      },
    ],
    caughtBy: {
      file: 'test/mails.test.ts',
      tests: ['of work that is rolled back is never sent, and one outside any boundary is refused'],
    },
    saying: /Received promise resolved|order-confirmation/,
  },
  {
    name: 'a mail is taken on without a lease',
    harm: 'While a slow server takes a mail, every other instance sends it as well.',
    changes: [
      {
        file: 'src/modules/mails/mails.repository.ts',
        text: "m.attempts + 1, due_at = statement_timestamp() + ${leaseMs}::int * interval '1 ms'",
        replacement: "m.attempts + 1, due_at = statement_timestamp() + ${leaseMs}::int * interval '0 ms'",
      },
    ],
    caughtBy: {
      file: 'test/mails.test.ts',
      tests: ['is sent once each, though two instances send, and the server takes its time'],
    },
    saying: /-\s+12,/,
  },
  {
    name: 'the words of the server are kept with a mail',
    harm: 'The address of a person stands in the table of mail, and in its backups, for a month.',
    changes: [
      {
        file: 'src/modules/mails/smtp.ts',
        text: "const name = `${isOfThisMail ? command : 'connection'} ${responseCode}`;",
        replacement: 'const name = (error as Error).message;',
      },
    ],
    caughtBy: {
      file: 'test/mails.test.ts',
      tests: ['keeps nothing of the person, and nothing at all of its text once it was sent'],
    },
    saying: /Expected pattern: not .*@example/,
  },
  {
    name: 'a mail is marked before it was sent',
    harm: 'A mail whose sender is killed meanwhile is never sent, and nobody knows.',
    changes: [
      {
        file: 'src/modules/mails/mail-worker.ts',
        text: 'const outcome = await this.sender.send(mail);',
        replacement: 'await this.mails.finish(mail); const outcome = await this.sender.send(mail);',
      },
    ],
    caughtBy: {
      file: 'test/mail-kills.test.ts',
      tests: [
        'a mail whose sender is killed after the server took it, and before it is marked, comes at most once more, as the same',
      ],
    },
    saying: /\+\s+"sent": true/,
  },
  {
    name: 'a cell of a mail is written into its HTML as it is',
    harm: 'The name of a product is a piece of the page that a mail shows.',
    changes: [
      {
        file: 'src/modules/mails/mail-content.ts',
        text: '${escaped(cell)}</td>',
        replacement: '${cell}</td>',
      },
    ],
    caughtBy: {
      file: 'test/mails.test.ts',
      tests: ['arrives with its lines and total, as plain text and as HTML'],
    },
    saying: /<td style=[^>]*><b>Mug/,
  },
];
