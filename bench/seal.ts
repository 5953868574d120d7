/**
 * What sealing costs: `npm run bench:seal -- [values]` (20,000 unless told). For each suite: values sealed and opened a second under one key of the
 * ring, as many under keys of their own of 2,000 persons – remembered, and unwrapped for each – blind index tokens and signatures. One JSON line each.
 */
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { newSigningKey, openSigner, verifySignature } from '../src/store/signing.ts';
import type { SuiteName } from '../src/store/suite.ts';

const values = Number(process.argv[2] ?? 20_000);
const PERSONS = 2_000;
const CONTEXT = 'Person.idNumber';
const text = (n: number) => `4301021990${String(n).padStart(8, '0')}`;

function perSecond(count: number, work: (n: number) => void): number {
  for (let n = 0; n < Math.min(count, 500); n += 1) work(n);
  const started = performance.now();
  for (let n = 0; n < count; n += 1) work(n);
  return Math.round(count / ((performance.now() - started) / 1000));
}

/** The first value of each person under a ring that remembers none of their keys. */
function unwrapped(open: (n: number, keys: ReturnType<typeof openKeys>) => void, ring: string): number {
  const keys = openKeys(ring);
  const started = performance.now();
  for (let n = 0; n < PERSONS; n += 1) open(n, keys);
  return Math.round(PERSONS / ((performance.now() - started) / 1000));
}

function measure(suite: SuiteName): Record<string, number | string> {
  const ring = newKeyRing(suite);
  const keys = openKeys(ring);
  const sealed = Array.from({ length: values }, (_, n) => keys.seal(text(n), CONTEXT));
  const persons = Array.from({ length: PERSONS }, (_, n) => keys.newSubjectKey(n + 1));
  const own = sealed.map((_, n) => persons[n % PERSONS]?.key.seal(text(n), CONTEXT) ?? '');
  const openOwn = (n: number, from: typeof keys) =>
    from.subjectKey((n % PERSONS) + 1, persons[n % PERSONS]?.wrapped ?? '').open(own[n] ?? '', CONTEXT);
  const pair = newSigningKey(keys.suite.signature);
  const signer = openSigner('s', pair.privateKey);
  const data = Buffer.alloc(200, 1);
  const signature = signer.sign(data);
  return {
    suite,
    seal: perSecond(values, (n) => void keys.seal(text(n), CONTEXT)),
    open: perSecond(values, (n) => void keys.open(sealed[n] ?? '', CONTEXT)),
    openOwnRemembered: perSecond(values, (n) => void openOwn(n, keys)),
    // A ring opened anew remembers nothing: each of the persons is unwrapped once.
    openOwnUnwrapped: unwrapped((n, fresh) => openOwn(n, fresh), ring),
    newSubjectKey: perSecond(Math.min(values, 5_000), (n) => void keys.newSubjectKey(n)),
    token: perSecond(values, (n) => void keys.blindToken('identifier:citizen-id', text(n))),
    sign: perSecond(300, () => void signer.sign(data)),
    verify: perSecond(300, () => void verifySignature(pair.publicKey, data, signature)),
  };
}

for (const suite of ['international', 'national'] as const) process.stdout.write(`${JSON.stringify(measure(suite))}\n`);
