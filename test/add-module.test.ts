/** @servers any */
import { named, prefixOf, readNoun, takenBy } from '../tools/module-names.mts';

describe('the name of a module', () => {
  it.each([
    ['wishlists', 'wishlists', 'wishlist'],
    ['gift-cards', 'gift-cards', 'gift-card'],
    ['deliveries', 'deliveries', 'delivery'],
    ['addresses', 'addresses', 'address'],
    ['people', 'people', 'person'],
  ])('%s is a plural noun', (name, plural, singular) => {
    expect(readNoun(name)).toEqual({ plural, singular });
  });

  it.each([
    ['wishlist', 'A module has a plural name: wishlists.'],
    ['gift-card', 'A module has a plural name: gift-cards.'],
    ['Wishlists', 'Write the name in small letters, with hyphens between words: wishlists.'],
    ['giftCards', 'Write the name in small letters, with hyphens between words: gift-cards.'],
    ['gift_cards', 'Write the name in small letters, with hyphens between words: gift-cards.'],
    ['gift--cards', '"gift--cards" is no name of a module: use small letters, and hyphens between words.'],
    ['../orders', '"../orders" is no name of a module: use small letters, and hyphens between words.'],
    ['2nd-orders', '"2nd-orders" is no name of a module: use small letters, and hyphens between words.'],
    ['', '"" is no name of a module: use small letters, and hyphens between words.'],
    ['equipment', 'equipment has no plural of its own, and a module needs two names: choose another noun.'],
    ['preferred-delivery-time-windows', 'preferred-delivery-time-windows is too long: a name has 30 letters at most.'],
    ['decimals', 'decimals is a word that Prisma keeps for itself: choose another noun.'],
    ['utils', 'utils says nothing of what the module holds: name it after a thing of its field.'],
    ['order-managers', 'order-managers says nothing of what the module holds: name it after a thing of its field.'],
  ])('%s is refused in one sentence', (name, sentence) => {
    expect(() => readNoun(name)).toThrow(new Error(sentence));
  });

  it.each([
    ['orders', 'src/modules/orders'],
    ['races', 'test/races.test.ts'],
    ['products', 'product in the database (prisma/catalog.prisma)'],
    ['deposits', 'the path /v1/deposits'],
    ['problems', 'test/problems.test.ts'],
    ['currencies', 'test/currencies.test.ts'],
    ['order-statuses', 'order_status in the database (prisma/orders.prisma)'],
    ['refused-places', 'the schema RefusedPlace (openapi.json)'],
    ['accts', 'the prefix acct_ of ids (src/modules/accounts/accounts.schema.ts)'],
  ])('%s is taken', (name, place) => {
    expect(takenBy(readNoun(name))).toBe(place);
  });

  it('is free where nothing has it', () => {
    expect(takenBy(readNoun('wishlists'))).toBeNull();
    expect(takenBy(readNoun('gift-cards'))).toBeNull();
  });
});

describe('a template', () => {
  const text = `a sample thing, A sample thing, Sample things: SampleThingsService sampleThings sampleThing.id
    sample-things.service.ts sample_thing samplething_`;

  it('is written with the noun in each of its forms, and its article', () => {
    expect(named(text, readNoun('gift-cards')))
      .toBe(`a gift card, A gift card, Gift cards: GiftCardsService giftCards giftCard.id
    gift-cards.service.ts gift_card giftcard_`);
    expect(named('a sample thing of A sample thing', readNoun('events'))).toBe('an event of An event');
  });

  it('gives ids a prefix of at most sixteen letters', () => {
    expect(prefixOf(readNoun('delivery-time-windows'))).toBe('deliverytimewind');
  });
});
