import { connect } from 'node:net';

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where it is no JSON. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** More to send, once what has come matches. */
interface More {
  readonly after: RegExp;
  readonly send: string;
}

/** Sends bytes as they are, and gives what comes back until the other side ends the connection. */
export function raw(url: string, text: string, more?: More): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (more?.after.test(answer) !== true) return;
      answer = answer.replace(more.after, '');
      socket.write(more.send);
    });
    socket.on('close', () => resolve(parsed(answer)));
    socket.on('error', reject);
    socket.setTimeout(30_000, () => socket.destroy(new Error(`no end of the answer: ${answer}`)));
  });
}

function parsed(answer: string): RawAnswer {
  const end = answer.indexOf('\r\n\r\n');
  const [first = '', ...lines] = answer.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const text = answer.slice(end + 4);
  return { status: Number(first.split(' ')[1]), headers, body: bodyIn(text), text };
}

function bodyIn(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
