import { Inject, Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { HttpConfig } from '../../config/slices.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { cutOf } from './cutting.ts';

/** Shows things as their views have them. */
@Injectable()
export class Views {
  private readonly areChecked: boolean;

  constructor(@Inject(HttpConfig.KEY) { checksAnswers }: Config['http']) {
    this.areChecked = checksAnswers;
  }

  /**
   * What the view names of a thing, in the form that it has on the wire. A thing that breaks its view is our fault: a ZodError, answered 500.
   * In production a thing is cut to its view, and not held to all that this says: that is asked of every answer everywhere else, and also
   * whether both show the same.
   */
  show<V extends z.ZodType>(view: V, thing: unknown): z.output<V> {
    if (!this.areChecked) return cutOf(view)(thing) as z.output<V>;
    const shown = view.parse(thing);
    if (JSON.stringify(cutOf(view)(thing)) !== JSON.stringify(shown))
      throw new MisuseError('A view shows something else where answers are not checked: cutting.ts does not know it.');
    return shown;
  }
}
