// Enough for the way from a statement through repository and service to a controller.
const mostFrames = 20;

/** The place of a call. It is taken before the call is sent, as whoever returns its promise without awaiting it is not on the stack later. */
export class CallSite {
  private readonly trace: { readonly stack?: string } = {};

  /** The frames of `callee` and of what it has called are left out. */
  constructor(callee: (...args: never[]) => unknown) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = mostFrames;
    Error.captureStackTrace(this.trace, callee);
    Error.stackTraceLimit = stackTraceLimit;
  }

  /** Without those of Node, of packages and of the core. Made to text when it is first read, which costs more than to take it. */
  get frames(): string {
    return framesOf(this.trace);
  }

  /** And those who wait for the call, as they are on the stack where it has failed. */
  framesWith(failure: Error): string {
    return [...new Set([this.frames, framesOf(failure)].flatMap((frames) => frames.split('\n')))].join('\n').trimEnd();
  }
}

// Our own frames and those of the packages say nothing to whoever looks for a mistake.
export const framesOf = ({ stack = '' }: { readonly stack?: string }): string =>
  stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !/node:|node_modules|src\/(transactions|testing)\//.test(line))
    .join('\n');
