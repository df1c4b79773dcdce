import { final, type KnownProblem, missing, taken } from './known-problem.ts';

/** What the modules refuse, in their own words. */
export const problemsOfModules = {
  'wrong-credentials': final(
    401,
    'Wrong credentials',
    'There is no such e-mail address, or the password is another. Which, is not told.',
  ),
  'invalid-refresh-token': final(
    401,
    'Refresh token not valid',
    'The refresh token is unknown, has expired, or was used before, which ends its session unless it was just now. Log in again.',
  ),
  'user-disabled': final(403, 'User disabled', 'An operator has disabled the user. Ask one.'),
  'wrong-password': final(
    422,
    'Wrong password',
    'The present password is another one, or was changed meanwhile. Ask the person for it again.',
  ),
  'password-needed': final(
    422,
    'Password needed',
    'What hands an account over needs the present password beside the access token. Send it as `currentPassword`.',
  ),
  'invalid-reset-token': final(
    401,
    'Reset token not valid',
    'The token is unknown, has expired, or was used or withdrawn. Have another one made.',
  ),
  'own-access': final(
    409,
    'Own access',
    'Nobody changes their own role, or disables themselves. Ask another operator.',
  ),
  'session-not-found': missing('session'),
  'weak-password': final(
    422,
    'Password too weak',
    'The password is one of those that are used most, or is made of the name, the address or the name of this service. Choose another.',
  ),
  'user-not-found': missing('user'),
  'account-not-found': missing('account'),
  'currency-not-accepted': final(
    422,
    'Currency not accepted',
    'The shop opens no accounts and sets no prices in this currency. Use another.',
  ),
  'transfer-not-found': missing('transfer'),
  'product-not-found': missing('product'),
  'sku-not-found': missing('SKU'),
  'order-not-found': missing('order'),
  'email-taken': taken('E-mail address taken'),
  'slug-taken': taken('Slug taken'),
  'sku-code-taken': taken('SKU code taken'),
  'too-many-skus': final(409, 'Too many SKUs', 'The product has as many SKUs as it can. Make another product.'),
  'out-of-stock': final(
    409,
    'Not enough stock',
    'There are fewer units than wanted. `errors` names each item with what there is: order less.',
  ),
  'insufficient-stock': final(
    409,
    'Not enough stock to take away',
    'There are fewer units than are to be taken away. Read the stock again.',
  ),
  'too-much-stock': final(409, 'Too much stock', 'A SKU cannot have that many units. Add fewer.'),
  'price-changed': final(
    409,
    'Price changed',
    'The order costs something else than `expectedTotal`. Show the buyer the new price.',
  ),
  'not-cancellable': final(
    409,
    'Order cannot be cancelled',
    'The order is not in a state in which it can be cancelled. Read it again.',
  ),
  'transfer-exists': final(
    409,
    'Transfer exists',
    'There is a transfer with this id already. Read it, or leave the id out.',
  ),
  'account-frozen': final(
    409,
    'Account frozen',
    'An operator has frozen the account: nothing moves until it is thawed.',
  ),
  'account-closed': final(409, 'Account closed', 'The account is closed, for good. Use another.'),
  'cannot-receive': final(
    409,
    'Cannot receive this',
    'The account to which the money is to go does not receive it, or there is none. Why, is told only to whoever may see the account: ask them.',
  ),
  'own-account': final(
    403,
    'Own account',
    'What an operator does to accounts and their money is done for others, never for the own account. Ask another operator.',
  ),
  'too-many-pending': final(
    409,
    'Too many pending transfers',
    'As many transfers are pending as may be at a time, of you, or between you and this account. Post or void some, or wait until they expire.',
  ),
  'condition-not-met': final(
    409,
    'Condition not met',
    'The account is not as `conditions` demands. `errors` points to the condition: read the account again.',
  ),
  'already-posted': final(409, 'Posted already', 'The pending transfer has been posted. Read it, or reverse it.'),
  'already-voided': final(409, 'Voided already', 'The pending transfer has been voided. Make a new one.'),
  expired: final(409, 'Expired', 'The pending transfer was not posted in time. Make a new one.'),
  'not-posted': final(
    409,
    'Not posted',
    'Nothing of the transfer has been posted, so there is nothing to reverse. Void it.',
  ),
  'not-reversible': final(
    409,
    'Not reversible',
    'Only transfers, and for operators deposits, are reversed here. Cancel the order of a payment instead.',
  ),
  'balance-not-zero': final(
    409,
    'Balance not zero',
    'The account still holds money, or owes it. Bring it to zero first.',
  ),
  'pending-transfers': final(
    409,
    'Pending transfers',
    'Transfers from the account are pending, or too many to it. Post or void them first: POST /v1/transfers/void takes a list.',
  ),
  'exceeds-pending': final(422, 'More than is pending', 'A posting cannot be larger than its transfer. Post less.'),
  'exceeds-remaining': final(
    422,
    'More than is left to reverse',
    'The reversals of a transfer cannot be more than was posted of it. Reverse less.',
  ),
  'batch-too-large': final(422, 'Batch too large', 'A batch has at most 1,000 transfers. Send several.'),
  'same-account': final(422, 'Same account twice', 'Money cannot be moved from an account to itself. Name two.'),
  'currency-mismatch': final(
    422,
    'Currencies differ',
    'All that takes part must be in one currency. Choose accounts or goods of one.',
  ),
  'insufficient-funds': final(422, 'Insufficient funds', 'The account does not hold that much. Pay in, or move less.'),
  'balance-too-large': final(
    422,
    'Balance too large',
    'The account would hold more than its largest balance, or than 2^53 - 1 minor units. Move less, or use another account.',
  ),
  'total-too-large': final(422, 'Total too large', 'The order would cost more than 2^53 - 1 minor units. Order less.'),
} satisfies Record<string, KnownProblem>;
