// npm run db:seed: adds the demo data, once, to a database that nobody uses yet. Their passwords are published.
import { seed } from '../dist/src/embedded/demo/seed.js';
import { say, withApp } from './with-app.mjs';

const says = {
  added: 'The demo data was added.',
  'was-there': 'The demo data was added before: nothing is added twice.',
  'in-use': 'This database has users already: demo data are added to an empty one only.',
};

await withApp(async (app, { isPrivate }) => {
  if (!isPrivate)
    throw new Error(
      'Demo people have published passwords: none are added with NODE_ENV=production, or with a HOST that others reach. Add an operator instead: npm run add-operator -- <e-mail>',
    );
  const outcome = await seed(app);
  say(says[outcome]);
  if (outcome === 'in-use') process.exitCode = 1;
});
