/** Who asks. A parameter, never ambient: it can change what a call means. */
export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: 'customer' | 'operator';
}

/** Whose rows a principal may see: its own, or, for an operator, everybody's. Goes into the `where` of every read of owned data. */
export type Scope = { readonly userId?: string };

/** The nil UUID (RFC 9562, section 5.9), in the place of the id of whoever is not signed in. It owns nothing. */
export const nobody = '00000000-0000-0000-0000-000000000000';

export const scopeOf = (principal: Principal): Scope =>
  principal.role === 'operator' ? {} : { userId: principal.userId };
