/** What a mail says: its text and its HTML are both made from this, so that they say the same, and nobody who writes a mail writes HTML. */
export interface MailContent {
  readonly subject: string;
  readonly parts: readonly MailPart[];
}

/** A paragraph, or rows of cells. */
export type MailPart = string | { readonly rows: readonly (readonly string[])[] };

// A name is to begin no line of its own.
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');

/** The subject as it goes into its header. */
export const subjectOf = ({ subject }: MailContent): string => oneLine(subject);

export function plainTextOf({ parts }: MailContent): string {
  const shown = parts.map((part) =>
    typeof part === 'string' ? oneLine(part) : part.rows.map((cells) => cells.map(oneLine).join('  ')).join('\n'),
  );
  return `${shown.join('\n\n')}\n`;
}

export function htmlOf(content: MailContent): string {
  const body = content.parts.map((part) => (typeof part === 'string' ? `<p>${escaped(part)}</p>` : tableOf(part.rows)));
  const head = `<meta charset="utf-8"><title>${escaped(content.subject)}</title>`;
  return `<!doctype html><html lang="en"><head>${head}</head><body style="font-family:sans-serif">\n${body.join('\n')}\n</body></html>\n`;
}

function tableOf(rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) => row.map((cell) => `<td style="padding-right:1em">${escaped(cell)}</td>`);
  return `<table>${rows.map((row) => `<tr>${cells(row).join('')}</tr>`).join('\n')}</table>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it stands in HTML, in an element or in an attribute. */
export const escaped = (text: string): string => oneLine(text).replaceAll(/[&<>"']/g, (sign) => entities[sign] ?? '');
