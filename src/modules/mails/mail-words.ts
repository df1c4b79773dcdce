import { exponents } from '../../kernel/currencies.ts';
import { money, showMoney } from '../../kernel/money.ts';

interface Amount {
  readonly amount: number;
  readonly currency: string;
}

/** Writes figures as the reader of a mail does. */
export interface MailWords {
  /** Minor units, as they cross the wire. */
  money(amount: Amount): string;
  /** RFC 3339, as it crosses the wire; in UTC, as it is not known where the reader is. */
  moment(instant: string): string;
  number(count: number): string;
}

/** Mail is written in English; who reads another one, as that of India, gets its figures. */
export function wordsFor(locale: string | null): MailWords {
  const language = englishOf(locale);
  return {
    money({ amount, currency }) {
      const digits = exponents.get(currency) ?? 0;
      const format = new Intl.NumberFormat(language, {
        style: 'currency',
        currency,
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      });
      // As text: a float would round the largest amounts.
      const [exact = '0'] = showMoney(money(BigInt(amount), currency)).split(' ');
      return format.format(exact as Intl.StringNumericLiteral);
    },
    moment(instant) {
      const format = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
      return `${format.format(new Date(instant))} UTC`;
    },
    number: (count) => new Intl.NumberFormat(language).format(count),
  };
}

function englishOf(locale: string | null): string {
  try {
    return locale !== null && new Intl.Locale(locale).language === 'en' ? locale : 'en';
  } catch {
    // What somebody once wrote into their profile is no language tag.
    return 'en';
  }
}
