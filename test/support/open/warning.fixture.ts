it('passes and waits for a time that is over', async () => {
  await new Promise((resolve) => setTimeout(resolve, -5));
  expect(1 + 1).toBe(2);
});
