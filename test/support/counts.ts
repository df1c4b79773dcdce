/** How often a proof is repeated: briefly in every test run, in full under `npm run prove`. */
export const fullCount = (ci: number, full: number): number => (process.env['PROVE'] === 'true' ? full : ci);
