-- What a list shows of a product, computed where the rows are: a page of products reads no SKU that it does not show. Subqueries, not joins, so
-- that PostgreSQL computes them only for the rows of the page, and `skus` only where it is asked for. Amounts are text, so that none is rounded.
CREATE VIEW product_summary AS
SELECT p.id, p.slug, p.name, p.version, p.created_at, p.updated_at,
  (SELECT coalesce(json_agg(json_build_object('currency', r.currency, 'lowest', r.lowest::text, 'highest', r.highest::text) ORDER BY r.currency), '[]')
   FROM (SELECT currency, min(price) AS lowest, max(price) AS highest FROM sku WHERE product_id = p.id GROUP BY currency) AS r) AS prices,
  -- Not EXISTS, which PostgreSQL may answer by reading both tables from end to end: it does not know here that a page is short.
  coalesce((SELECT true FROM sku JOIN stock ON sku_id = sku.id WHERE product_id = p.id AND on_hand > 0 LIMIT 1), false) AS in_stock,
  (SELECT json_build_object('id', i.id, 'url', i.url, 'alt', i.alt, 'position', i.position)
   FROM image AS i WHERE i.product_id = p.id ORDER BY i.position LIMIT 1) AS image,
  (SELECT coalesce(json_agg(json_build_object('id', s.id, 'productId', s.product_id, 'code', s.code, 'name', s.name, 'price', s.price::text,
     'currency', s.currency, 'onHand', coalesce(t.on_hand, 0), 'version', s.version, 'createdAt', s.created_at, 'updatedAt', s.updated_at)
     ORDER BY s.id), '[]')
   FROM sku AS s LEFT JOIN stock AS t ON t.sku_id = s.id WHERE s.product_id = p.id) AS skus
FROM product AS p;

-- PostgreSQL would let a row of the product be written through it, with the rights of its owner.
REVOKE INSERT, UPDATE, DELETE ON product_summary FROM holdfast_app;
