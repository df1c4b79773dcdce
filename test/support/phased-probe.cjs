// A service with a phased method of three phases and a call outside between each, for the test in one process and for one that is killed.
// Plain JavaScript, so that a process of its own can load it beside the built service.
require('reflect-metadata');
const { Module, Injectable, Inject } = require('@nestjs/common');

/** @param {string} dist folder of the built or transpiled service */
module.exports = function makeProbe({ Phased, phasedKey, Transactional, DATABASE, PhasedRuns }) {
  class PhasedProbe {
    constructor(db) {
      this.db = db;
      /** Called outside any boundary, before each phase, with its number; may throw, hang, or end the process. */
      this.outside = async () => undefined;
      this.keys = [];
      /** Thrown behind the last phase. */
      this.refusal = null;
    }

    async buy(mark) {
      const said = [];
      for (const phase of [1, 2, 3]) {
        this.keys.push(phasedKey(`call-${phase}`));
        await this.outside(phase);
        said.push(await this[`phase${phase}`](mark));
      }
      if (this.refusal !== null) throw this.refusal;
      return said;
    }

    async write(mark) {
      const slug = `${mark}-${Math.random().toString(36).slice(2)}`;
      await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${mark})`;
      return { slug, amount: 12n, at: new Date(0) };
    }

    async phase1(mark) {
      return this.write(`${mark}-1`);
    }
    async phase2(mark) {
      return this.write(`${mark}-2`);
    }
    async phase3(mark) {
      return this.write(`${mark}-3`);
    }
  }
  const decorate = (key, decorator) => {
    const descriptor = Object.getOwnPropertyDescriptor(PhasedProbe.prototype, key);
    decorator(PhasedProbe.prototype, key, descriptor);
    Object.defineProperty(PhasedProbe.prototype, key, descriptor);
  };
  decorate('phase1', Transactional());
  decorate('phase2', Transactional({ isolation: 'serializable' }));
  decorate('phase3', Transactional({ isolation: 'repeatable-read', timeout: '5s' }));
  decorate('buy', Phased());
  Injectable()(PhasedProbe);
  Inject(DATABASE)(PhasedProbe, undefined, 0);

  class PhasedProbeModule {}
  Module({ providers: [PhasedProbe], exports: [PhasedProbe] })(PhasedProbeModule);
  return { PhasedProbe, PhasedProbeModule, PhasedRuns };
};
