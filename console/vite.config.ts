import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * One page per folder; each is served under its folder's name (`ide/index.html` at `/ide/`). The IDE keeps its assets below `/ide/`
 * so that a deployment may publish or block it as a whole. Nothing is loaded from another host: fonts and workers are in the bundle.
 */
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [react()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    assetsDir: 'ide/assets',
    // Monaco is one chunk of several megabytes by nature.
    chunkSizeWarningLimit: 8000,
    rolldownOptions: { input: { ide: 'ide/index.html' } },
  },
  server: { proxy: { '/graphql': 'http://127.0.0.1:4000', '/ide/purposes.json': 'http://127.0.0.1:4000' } },
});
