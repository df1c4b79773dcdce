import { z } from 'zod';

// Digits alone: what JavaScript reads as a number beside them (`1e3`, `0x10`, ` 7 `, `010`) somebody else reads otherwise.
const digits = /^(?:0|[1-9]\d{0,15})$/;
/** A variable that holds a whole number between two bounds. */
export const whole = (least: number, most: number) =>
  z.preprocess(
    (given) => (typeof given === 'string' && digits.test(given) ? Number(given) : given),
    z.int().min(least).max(most),
  );
