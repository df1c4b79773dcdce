import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Whether this address, as digits, is the machine's own. */
export const isLoopbackAddress = (address: string): boolean =>
  loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Whether what listens at this host is reached from this machine alone, however the host is spelled: `127.1`, `localhost`, `::1`. */
export async function isLoopback(host: string): Promise<boolean> {
  if (host === '') return false;
  try {
    const found = await lookup(host, { all: true });
    return found.length > 0 && found.every(({ address }) => isLoopbackAddress(address));
  } catch {
    // Nobody knows whom it stands for.
    return false;
  }
}
