const probes = new Set(['/livez', '/readyz', '/startupz']);

/** Whether the machine beside us asks, which is never turned away: not answered, it would restart us. */
export const isProbe = (url: string): boolean => probes.has(url.split('?')[0] ?? '');
