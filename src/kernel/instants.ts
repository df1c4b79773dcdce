const dayMs = 86_400_000;
const timeLength = '00:00:00.000Z'.length;
const twoDigits = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));
const threeDigits = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'));

// The days that were shown last, each at the place of its number: a page shows rows of few days.
const mostDays = 64;
const days = new Float64Array(mostDays).fill(NaN);
const dayTexts = Array.from({ length: mostDays }, () => '');

/**
 * A moment in RFC 3339, UTC: what `toISOString` gives, which works out the calendar each time, for a microsecond. Throws RangeError for an
 * invalid date.
 */
export function showInstant(date: Date): string {
  const ms = date.getTime();
  const day = Math.floor(ms / dayMs);
  const place = day & (mostDays - 1);
  if (days[place] !== day) {
    dayTexts[place] = date.toISOString().slice(0, -timeLength);
    days[place] = day;
  }
  const ofDay = ms - day * dayMs;
  const seconds = Math.floor(ofDay / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const [second, minute] = [seconds - minutes * 60, minutes - hours * 60];
  return `${dayTexts[place]}${twoDigits[hours]}:${twoDigits[minute]}:${twoDigits[second]}.${threeDigits[ofDay - seconds * 1000]}Z`;
}
