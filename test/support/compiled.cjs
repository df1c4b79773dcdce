const vm = require('node:vm');

// Each test file has its modules anew: a thousand of them with the service, which a worker would compile once for each file. It keeps what V8
// has found in the text of a module, which compiles the same text in a third of the time. V8 refuses what does not fit, and compiles it.
const kept = new Map();
const { compileFunction, SourceTextModule } = vm;

vm.compileFunction = (text, parameters, options) => {
  const before = kept.get(options?.filename);
  if (before?.text === text) return compileFunction(text, parameters, { ...options, cachedData: before.found });
  const made = compileFunction(text, parameters, { ...options, produceCachedData: true });
  if (made.cachedDataProduced) kept.set(options.filename, { text, found: made.cachedData });
  return made;
};

// Those that are modules of ECMAScript: V8 does not compile what does not fit, it throws.
vm.SourceTextModule = class extends SourceTextModule {
  constructor(text, options) {
    const before = kept.get(options?.identifier);
    super(text, before?.text === text ? { ...options, cachedData: before.found } : options);
    if (before?.text !== text && options?.identifier !== undefined)
      kept.set(options.identifier, { text, found: this.createCachedData() });
  }
};
