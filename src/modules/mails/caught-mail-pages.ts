import { isIP } from 'node:net';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isLoopbackAddress } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { MailConfig } from '../../config/slices.ts';
import { showInstant } from '../../kernel/instants.ts';
import { CaughtMails } from './caught-mails.ts';
import { escaped } from './mail-content.ts';
import type { MailMessage } from './smtp.ts';

const path = '/dev/mail';
// No script, no request, no form; styles stand in the elements, as mail has them.
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Shows the mail that was caught to whoever develops. There only where mail is caught, and no part of the API. */
@Injectable()
export class CaughtMailPages implements OnModuleInit {
  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly caught: CaughtMails,
    @Inject(MailConfig.KEY) private readonly config: Config['mail'],
  ) {}

  onModuleInit(): void {
    if (this.config.goes !== 'into a list') return;
    const fastify = this.adapter.httpAdapter.getInstance<FastifyInstance>();
    fastify.get(path, (request, reply) => {
      this.answer(request, reply, () => listOf(this.caught.list()));
    });
    fastify.get<{ Params: { id: string } }>(`${path}/:id`, (request, reply) => {
      this.answer(request, reply, () => {
        const found = this.caught.find(`<${request.params.id}>`);
        return found === undefined ? null : pageOf(found);
      });
    });
  }

  private answer(request: FastifyRequest, reply: FastifyReply, make: () => string | null): void {
    const page = isOurs(request) ? make() : null;
    if (page === null) return void reply.callNotFound();
    void reply.header('content-security-policy', policy).header('cache-control', 'no-store');
    void reply.type('text/html; charset=utf-8').send(page);
  }
}

/** Not by a name that a page on the web has pointed here, nor by a tunnel to here. */
function isOurs({ hostname, headers }: FastifyRequest): boolean {
  const host = hostname.replaceAll(/^\[|\]$/g, '');
  const isForwarded = (headers['x-forwarded-for'] ?? headers['forwarded']) !== undefined;
  return !isForwarded && (host === 'localhost' || (isIP(host) > 0 && isLoopbackAddress(host)));
}

const idOf = ({ messageId }: MailMessage): string => messageId.slice(1, -1);

function listOf(mails: readonly MailMessage[]): string {
  const rows = mails.map((mail) => {
    const link = `<a href="${path}/${escaped(encodeURIComponent(idOf(mail)))}">${escaped(mail.subject)}</a>`;
    return `<li>${showInstant(mail.date)} to ${escaped(mail.to.address)}: ${link}</li>`;
  });
  return documentOf(
    'Caught mail',
    rows.length === 0 ? '<p>No mail was caught yet.</p>' : `<ul>${rows.join('\n')}</ul>`,
  );
}

/** The HTML of the mail stands in a frame of its own, which may do nothing. */
function pageOf({ from, to, subject, text, html, date, messageId }: MailMessage): string {
  const headers = [
    ['From', `${from.name} <${from.address}>`],
    ['To', `${to.name} <${to.address}>`],
    ['Date', showInstant(date)],
    ['Message-ID', messageId],
  ];
  const shown = headers.map(([name = '', value = '']) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`).join('');
  const lines = text.split('\n').map(escaped).join('\n');
  const frame = `<iframe sandbox="" srcdoc="${escaped(html)}" style="width:100%;height:24em"></iframe>`;
  return documentOf(subject, `<dl>${shown}</dl><pre>${lines}</pre>${frame}<p><a href="${path}">All</a></p>`);
}

const documentOf = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title><h1>${escaped(title)}</h1>${body}</html>\n`;
