/** A replica as DATABASE_READ_URL names it. */
export interface ReplicaAddress {
  /** What it is called in probes, logs and metrics. */
  readonly name: string;
  readonly url: string;
}

// A comma between two URLs would make one of them.
const entry = /^(?:([a-z][a-z0-9-]{0,30})=)?(postgres(?:ql)?:\/\/(?:(?!:\/\/)\S)+)$/;
// What the probes call something else.
const taken = ['serving', 'primary'];

/**
 * The replicas in a text of URLs with white space between them, each alone or as `name=postgresql://…`. Without a name one is `replica`,
 * several are `replica-1`, `replica-2`, in their order. Null when the text has another form, or two have one name.
 */
export function replicasIn(text: string): readonly ReplicaAddress[] | null {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const replicas = words.flatMap((word, index) => {
    const [, name = words.length === 1 ? 'replica' : `replica-${index + 1}`, url = ''] = entry.exec(word) ?? [];
    return URL.canParse(url) ? [{ name, url }] : [];
  });
  const names = new Set([...taken, ...replicas.map(({ name }) => name)]);
  const isWhole = replicas.length === words.length && names.size === words.length + taken.length;
  return isWhole && words.length > 0 ? replicas : null;
}
