// Serves the built service with the phased probe, and ends by SIGKILL before the phase that KILL_BEFORE names: 1 to 3, or 4 for after the last.
const { join } = require('node:path');
const { Controller, Module, Post, Param } = require('@nestjs/common');

const built = join(process.cwd(), 'dist', 'src');
const load = (path) => require(join(built, path));
const { createApp } = load('app.js');
const { makeConfig } = load('config/config.js');
const { readEnvironment } = load('config/environment.js');
const { Idempotent } = load('http/idempotency/idempotent.js');
const { Public } = load('http/access/principal.js');
const { Phased, phasedKey } = load('phased/phased.js');
const { Transactional } = load('transactions/transactional.js');
const { DATABASE } = load('transactions/tables.js');
const { PhasedProbe, PhasedProbeModule } = require('./phased-probe.cjs')({
  Phased,
  phasedKey,
  Transactional,
  DATABASE,
});

const kill = () => process.kill(process.pid, 'SIGKILL');
const killBefore = Number(process.env.KILL_BEFORE);

class BuyController {
  constructor(probe) {
    this.probe = probe;
  }
  async buy(mark) {
    const said = await this.probe.buy(mark);
    if (killBefore === 4) kill();
    return said.map(({ slug, amount }) => ({ slug, amount: String(amount) }));
  }
}
Reflect.defineMetadata('design:paramtypes', [PhasedProbe], BuyController);
Controller('v1/phased')(BuyController);
const descriptor = Object.getOwnPropertyDescriptor(BuyController.prototype, 'buy');
for (const decorator of [Post(':mark'), Public(), Idempotent('required')])
  decorator(BuyController.prototype, 'buy', descriptor);
Param('mark')(BuyController.prototype, 'buy', 0);

async function main() {
  class BuyModule {}
  Module({ imports: [PhasedProbeModule], controllers: [BuyController] })(BuyModule);
  const environment = readEnvironment(process.env);
  const app = await createApp(makeConfig(environment), [BuyModule]);
  app.get(PhasedProbe).outside = async (phase) => {
    if (phase === killBefore) kill();
  };
  await app.listen({ host: '127.0.0.1', port: 0 });
  process.stderr.write(`ready at ${await app.getUrl()}\n`);
}
void main();
