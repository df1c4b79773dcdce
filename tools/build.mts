// Keeps `dist` as the source is: what start.mjs runs where something has changed.
import { Transpiler } from './transpile.mts';

const wrong = new Transpiler().build();
process.stderr.write(wrong);
if (wrong !== '') process.exitCode = 1;
