/** Who asks. A parameter, never ambient: it can change what a call means. */
export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: 'customer' | 'operator';
}

/** Whose rows a principal may see: its own, or, for an operator, everybody's. Goes into the `where` of every read of owned data. */
export type Scope = { readonly userId?: string };

export const scopeOf = (principal: Principal): Scope =>
  principal.role === 'operator' ? {} : { userId: principal.userId };
