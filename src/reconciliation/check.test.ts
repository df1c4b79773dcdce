/** @servers any */
import { reconcileIn } from './reconcile.ts';

describe('reconcileIn', () => {
  it('refuses to call the books right where no module has been loaded that brings checks', async () => {
    const query = () => Promise.resolve([]);
    await expect(reconcileIn(query)).rejects.toThrow(
      'No check is defined: load the modules, as src/app.module.ts does.',
    );
  });
});
