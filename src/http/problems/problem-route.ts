import type { FastifyInstance } from 'fastify';
import { describeProblems } from './problem-pages.ts';

/** Answers where `type` of every problem leads to. */
export function explainProblems(fastify: FastifyInstance): void {
  const page = pageOf(describeProblems());
  fastify.get('/problems', (_, reply) => reply.type('text/html; charset=utf-8').send(page));
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The few forms of Markdown that the page is made of. */
function pageOf(markdown: string): string {
  const lines = escaped(markdown).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
  const parts = lines.split('\n\n').map((part) => part.trim());
  const body = parts.map((part) => {
    if (part.startsWith('## ')) return `<h2 id="${part.slice(3)}">${part.slice(3)}</h2>`;
    return part.startsWith('# ') ? `<h1>${part.slice(2)}</h1>` : `<p>${part}</p>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Problems</title><main>${body.join('\n')}</main></html>\n`;
}
