import { defineProblems, notFoundProblem, takenProblem } from '../../kernel/problem.ts';

export const catalogProblems = defineProblems({
  productNotFound: notFoundProblem('product'),
  skuNotFound: notFoundProblem('SKU'),
  slugTaken: takenProblem('slug-taken', 'Slug taken'),
  skuCodeTaken: takenProblem('sku-code-taken', 'SKU code taken'),
  tooManySkus: {
    kind: 'conflict',
    code: 'too-many-skus',
    title: 'Too many SKUs',
    meaning: 'The product has as many SKUs as it can. Make another product.',
  },
  outOfStock: {
    kind: 'conflict',
    code: 'out-of-stock',
    title: 'Not enough stock',
    meaning: 'There are fewer units than wanted. `errors` names each item with what there is: order less.',
  },
  insufficientStock: {
    kind: 'conflict',
    code: 'insufficient-stock',
    title: 'Not enough stock to take away',
    meaning: 'There are fewer units than are to be taken away. Read the stock again.',
  },
  tooMuchStock: {
    kind: 'conflict',
    code: 'too-much-stock',
    title: 'Too much stock',
    meaning: 'A SKU cannot have that many units. Add fewer.',
  },
});
