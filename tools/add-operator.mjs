// npm run add-operator -- <e-mail> [name]: adds an operator; the password is the first line of standard input.
import { userProblems } from '../dist/src/modules/users/users.problems.js';
import { NewUser } from '../dist/src/modules/users/users.schema.js';
import { UsersService } from '../dist/src/modules/users/users.service.js';
import { readPassword } from './read-password.mjs';
import { say, withApp } from './with-app.mjs';

const [email = '', displayName = email] = process.argv.slice(2);
const user = NewUser.omit({ currency: true }).safeParse({
  email,
  password: await readPassword(),
  profile: { displayName },
});

if (user.success) {
  await withApp(async (app) => {
    const users = app.get(UsersService);
    if (await users.isEmailTaken(user.data.email))
      throw userProblems.emailTaken(`${user.data.email} belongs to somebody already.`);
    await users.addOperator(user.data);
    say(`${user.data.email} is an operator.`);
  });
} else {
  const wrong = user.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  say(`Usage: npm run add-operator -- <e-mail> [name], then the password. ${wrong.join('; ')}`);
  process.exitCode = 1;
}
