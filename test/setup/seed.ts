/** What the tests that draw by lot draw from: the same in every run of the suite, another one with `HUB_DEEP=1`, and `HUB_SEED` repeats it. */
const DEEP = process.env['HUB_DEEP'] === '1';
export const SEED = Number(process.env['HUB_SEED'] ?? (DEEP ? Math.floor(Math.random() * 1e9) : 20_261_124));
