// Jest loads this file itself, so the TypeScript below it needs the hook that the hub uses in development.
import '../../scripts/ts-hook.mjs';

export default async function globalSetup() {
  const { startServer } = await import('./global.ts');
  await startServer();
}
