import '../../scripts/ts-hook.mjs';

export default async function globalTeardown() {
  const { stopServer } = await import('./global.ts');
  await stopServer();
}
