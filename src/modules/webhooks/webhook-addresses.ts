import { lookup, type LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { isValid, parse } from 'ipaddr.js';
import type { Config } from '../../config/config.ts';
import { WebhooksConfig } from '../../config/slices.ts';
import { LoggableError } from '../../kernel/loggable-error.ts';

/** The host of a webhook is, or stands for, an address that is not public. */
export class AddressRefusedError extends LoggableError {
  override readonly name = 'AddressRefusedError';
}

const leastFreePort = 1024;
// Public by its number, and answered by the cloud itself: Azure's metadata.
const metadata = '168.63.129.16';

/** Which addresses webhooks may go to: public ones, unless the configuration allows others. */
@Injectable()
export class WebhookAddresses {
  /** Finds all addresses of a host name. */
  resolve: (hostname: string) => Promise<LookupAddress[]> = (hostname) => promisify(lookup)(hostname, { all: true });
  private readonly allowsPrivate: boolean;

  constructor(@Inject(WebhooksConfig.KEY) { privateAddresses }: Config['webhooks']) {
    this.allowsPrivate = privateAddresses === 'allow';
  }

  /** Whether an endpoint may have this URL, as far as it says by itself: what its name stands for is asked at each request. */
  accepts(url: URL): boolean {
    if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
    if (this.allowsPrivate) return url.protocol === 'https:' || url.protocol === 'http:';
    const host = hostOf(url);
    return (
      url.protocol === 'https:' &&
      (url.port === '' || Number(url.port) >= leastFreePort) &&
      (isIP(host) > 0 ? isPublic(host) : isPublicName(host))
    );
  }

  /** The addresses to connect to, without asking again: between two looks a name may stand for another one. Throws AddressRefusedError where one of them is not public. */
  async find(url: URL): Promise<LookupAddress[]> {
    const host = hostOf(url);
    const family = isIP(host);
    const addresses = family > 0 ? [{ address: host, family }] : await this.resolve(host);
    if (addresses.length === 0 || (!this.allowsPrivate && !addresses.every(({ address }) => isPublic(address))))
      throw new AddressRefusedError('The host of a webhook is no public address.');
    return addresses;
  }
}

/** Without the brackets of IPv6. A URL has written an IPv4 address in four decimal numbers by now, however it was spelled. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

const isPublicName = (host: string): boolean => !/(^|\.)(localhost|local|internal)\.?$/i.test(host);

/** Whether the whole internet means the same host by it. */
export function isPublic(address: string): boolean {
  if (!isValid(address) || address === metadata) return false;
  const parsed = parse(address);
  // Of IPv6 only what is given out (2000::/3): all else maps, embeds or stays at home.
  const isGivenOut = parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1;
  return isGivenOut && parsed.range() === 'unicast';
}
