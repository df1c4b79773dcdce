import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Config } from '../../config/config.ts';
import { TransactionsConfig } from '../../config/slices.ts';
import { openBoundary } from '../current.ts';
import { SeparateWritesError } from '../errors.ts';
import { SeparateWrite, type StoredWrite, unitOfContext, type UnitOfWork } from '../unit-of-work.ts';
import { separateWritesFound } from './channels.ts';

/**
 * Finds the second write of a unit that would be stored by itself: when it fails, the first one stays. SEPARATE_WRITES says what comes of
 * it. `raise`: it is refused before it is sent. `log`: a warning for the first of each unit.
 */
@Injectable()
export class SeparateWrites {
  private readonly logger = new Logger('Transactions');

  constructor(@Inject(TransactionsConfig.KEY) private readonly config: Config['transactions']) {}

  /** What is about to be stored by itself here; null where nobody minds. */
  open(): SeparateWrite | null {
    if (this.config.separateWrites === 'off') return null;
    const unit = unitOfContext();
    // Beside an open boundary it is `requires-new` or `not-supported`, which say so.
    return unit === null || openBoundary() !== null ? null : new SeparateWrite(unit, this.found);
  }

  private readonly found = (unit: UnitOfWork, first: StoredWrite, second: StoredWrite): SeparateWritesError | null => {
    const raises = this.config.separateWrites === 'raise';
    if (!raises && unit.isTold) return null;
    const error = new SeparateWritesError(unit.name, placeOf(first), placeOf(second));
    if (!unit.isTold && separateWritesFound.hasSubscribers) separateWritesFound.publish({ unit: unit.name, error });
    unit.isTold = true;
    if (raises) return error;
    this.logger.warn({ err: error, unit: unit.name }, 'writes that may belong together are stored one by one');
    return null;
  };
}

const placeOf = ({ what, site }: StoredWrite) => ({ what, calledAt: site.frames });
