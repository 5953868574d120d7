import { expect, it } from '@jest/globals';

it('the tests run on Node 24, the version the hub is built for', () => {
  expect(process.version).toMatch(/^v24\./);
});
