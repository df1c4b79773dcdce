it('passes and leaves nothing that does not end soon', () => {
  setTimeout(() => undefined, 500);
  expect(1 + 1).toBe(2);
});
