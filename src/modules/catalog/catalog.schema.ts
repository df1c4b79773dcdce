import { z } from 'zod';
import { expandQuery, shownWith } from '../../http/expansion/expand-query.ts';
import { expandable } from '../../http/expansion/expandable.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idIn, idOut, instant, MoneyIn, MoneyOut, name, prose, webAddress } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const catalogIds = defineIdKinds({ prd: 'product', sku: 'SKU', img: 'image' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof catalogIds> {}
}

export const ProductId = idIn('prd');
export const SkuId = idIn('sku');
/** The most SKUs that a product can have. */
export const mostSkus = 50;
/** The most units of a SKU that there can be. */
export const mostUnits = 1_000_000_000;

const slug = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words joined by hyphens')
  .max(100)
  .meta({ description: 'Name in URLs, unique', examples: ['travel-mug'] });

const product = {
  slug,
  name: name(200).meta({ description: 'What buyers see', examples: ['Travel mug'] }),
};
const description = prose(5000).meta({ description: 'What buyers read', examples: ['Keeps tea hot for six hours.'] });

const sku = {
  code: z
    .string()
    .regex(/^[A-Z0-9][A-Z0-9._-]{0,63}$/, 'must be capital letters, digits, dots, hyphens and underscores')
    .meta({ description: 'Stock keeping unit, unique', examples: ['MUG-BLUE'] }),
  name: name(200).meta({ description: 'What tells it from the others of its product', examples: ['Blue'] }),
};

const NewImage = z.strictObject({
  url: webAddress(2000).meta({
    description: 'Where the image is; kept as it was written',
    examples: ['https://images.example.com/mug-blue.jpg'],
  }),
  alt: prose(500)
    .default('')
    .meta({ description: 'Says what is to be seen', examples: ['A blue mug'] }),
});

export const NewSku = z
  .strictObject({
    ...sku,
    price: MoneyIn,
    onHand: z
      .int()
      .min(0)
      .max(mostUnits)
      .default(0)
      .meta({ description: 'Units in stock at the start', examples: [10] }),
  })
  .meta({ id: 'NewSku' });
export type NewSku = z.infer<typeof NewSku>;

export const NewProduct = z
  .strictObject({
    ...product,
    description: description.default(''),
    skus: z.array(NewSku).min(1).max(mostSkus).meta({ description: 'What is sold of it' }),
    images: z.array(NewImage).max(20).default([]).meta({ description: 'In the order in which they are shown' }),
  })
  .meta({ id: 'NewProduct' });
export type NewProduct = z.infer<typeof NewProduct>;

export const ProductPatch = z
  .strictObject({
    ...product,
    description,
    images: z.array(NewImage).max(20).meta({ description: 'Replaces all images' }),
  })
  .partial()
  .meta({ id: 'ProductPatch' });
export type ProductPatch = z.infer<typeof ProductPatch>;

export const SkuPatch = z
  .strictObject({ ...sku, price: MoneyIn })
  .partial()
  .meta({ id: 'SkuPatch' });
export type SkuPatch = z.infer<typeof SkuPatch>;

export const SkuView = z
  .object({
    object: z.literal('sku').default('sku'),
    id: idOut('sku'),
    productId: idOut('prd'),
    ...sku,
    price: MoneyOut,
    onHand: z.int().meta({ description: 'Units that can be sold now', examples: [10] }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Sku', description: 'One variant of a product at one price' });
expandable(SkuView, { product: 'prd' });

const ImageView = z.object({
  id: idOut('img'),
  url: z.string().meta({ description: 'Where the image is', examples: ['https://images.example.com/mug-blue.jpg'] }),
  alt: z.string().meta({ description: 'Says what is to be seen', examples: ['A blue mug'] }),
  position: z.int().meta({ description: 'Its place in the order, from 0', examples: [0] }),
});

export const ProductView = z
  .object({
    object: z.literal('product').default('product'),
    id: idOut('prd'),
    ...product,
    description,
    skus: z.array(SkuView).meta({ description: 'What is sold of it' }),
    images: z.array(ImageView).meta({ description: 'In the order in which they are shown' }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Product', description: 'A product with its SKUs and images' });

const PriceRange = z.object({ lowest: MoneyOut, highest: MoneyOut });

const ProductSummaryView = z
  .object({
    object: z.literal('product').default('product'),
    id: idOut('prd'),
    ...product,
    prices: z
      .array(PriceRange)
      .meta({ description: 'What its SKUs cost: the lowest and the highest price in each currency' }),
    inStock: z.boolean().meta({ description: 'Whether there is a unit of any of its SKUs' }),
    image: ImageView.nullable().meta({ description: 'The first of its images; null without any' }),
    skus: z
      .array(SkuView)
      .optional()
      .meta({ description: `${shownWith('skus')}; what is sold of it` }),
    version: z.int().meta({ description: 'Counts the changes: the ETag of the product', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'ProductSummary', description: 'A product in short' });

export const ProductQuery = z.strictObject({ ...pageQuery, expand: expandQuery('skus') });
export type ProductQuery = z.infer<typeof ProductQuery>;
export const ProductPage = pageOf(ProductSummaryView).meta({
  id: 'ProductPage',
  description: 'Products in short, newest first',
});

export const NewStockAdjustment = z
  .strictObject({
    quantity: z
      .int()
      .min(-mostUnits)
      .max(mostUnits)
      .refine((quantity) => quantity !== 0, 'must not be 0')
      .meta({ description: 'Units that came (positive) or went (negative)', examples: [25] }),
    reason: z
      .enum(['received', 'adjusted'])
      .default('adjusted')
      .meta({ description: 'received: goods came; adjusted: a count was corrected', examples: ['received'] }),
  })
  .refine(({ quantity, reason }) => reason === 'adjusted' || quantity > 0, {
    path: ['quantity'],
    error: 'must be positive where units were received',
  })
  .meta({ id: 'NewStockAdjustment' });
export type NewStockAdjustment = z.infer<typeof NewStockAdjustment>;

export const StockMovementView = z
  .object({
    object: z.literal('stock_movement').default('stock_movement'),
    skuId: idOut('sku'),
    seq: z.int().meta({ description: 'Counts the movements of the SKU from 1', examples: [1] }),
    quantity: z.int().meta({ description: 'Units that came (positive) or went (negative)', examples: [25] }),
    onHandAfter: z.int().meta({ description: 'Units that there were then', examples: [35] }),
    reason: z
      .enum(['received', 'adjusted', 'sold', 'restocked'])
      .meta({ description: 'sold: by an order; restocked: by its cancellation' }),
    createdAt: instant,
  })
  .meta({ id: 'StockMovement', description: 'A change of a stock; it never changes itself' });

export const StockView = z
  .object({
    object: z.literal('stock').default('stock'),
    skuId: idOut('sku'),
    onHand: z.int().meta({ description: 'Units that can be sold now', examples: [10] }),
  })
  .meta({ id: 'Stock', description: 'What can be sold of a SKU now' });
