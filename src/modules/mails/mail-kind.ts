import type { z } from 'zod';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { MailContent } from './mail-content.ts';
import type { MailWords } from './mail-words.ts';

/** What a module says of a mail that it has sent. */
interface MailDefinition<Data extends z.ZodObject> {
  /** As `order-confirmation`. */
  readonly kind: string;
  /** What the text is made from, as it crosses the wire (`idOut`, `MoneyOut`, `instant`): in no language, and nothing of the person. */
  readonly data: Data;
  /** All that the mail says. */
  readonly content: (data: z.output<Data>, words: MailWords) => MailContent;
}

/** To whom a mail goes, and what it is made from. Ids are UUIDs. */
interface Addressed<Data extends z.ZodObject> {
  /** The user. */
  readonly to: string;
  /** The event that it tells of: told once in a mail of this kind. */
  readonly eventId?: string;
  readonly data: z.input<Data>;
}

/** A mail that is to be stored. */
export interface NewMail {
  readonly kind: string;
  readonly userId: string;
  readonly eventId: string | null;
  readonly data: object;
}

/** A kind of mail: called with whom it goes to, it makes the mail that `MailsService.enqueue` stores. */
export interface MailKind<Data extends z.ZodObject = z.ZodObject> extends MailDefinition<Data> {
  (addressed: Addressed<Data>): NewMail;
}

// Like the registry of zod: what is defined is known for as long as the process lives.
const kinds = new Map<string, MailKind>();

/** Defines a kind of mail. Throws MisuseError where it is defined already, or its name is not made of small letters and hyphens. */
export function defineMail<Data extends z.ZodObject>(definition: MailDefinition<Data>): MailKind<Data> {
  const { kind, data: schema } = definition;
  if (!/^[a-z]+(-[a-z]+)*$/.test(kind)) throw new MisuseError(`${kind} is no kind of mail: small letters and hyphens.`);
  if (kinds.has(kind)) throw new MisuseError(`The kind of mail ${kind} is defined twice.`);
  const make = ({ to, eventId, data }: Addressed<Data>): NewMail => ({
    kind,
    userId: to,
    eventId: eventId ?? null,
    data: schema.parse(data),
  });
  const defined = Object.assign(make, definition);
  kinds.set(kind, defined as unknown as MailKind);
  return defined;
}

/** The kind of this name; undefined for one that another release has defined. */
export const mailKindOf = (kind: string): MailKind | undefined => kinds.get(kind);
