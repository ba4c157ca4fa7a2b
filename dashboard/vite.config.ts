import { defineConfig } from 'vite';

// The page is served by the server that it asks, from any path: every address in it is relative.
export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { target: 'es2022', sourcemap: false, reportCompressedSize: false, assetsInlineLimit: 0 },
  server: { proxy: { '/v1': process.env.FOOTFALL_URL ?? 'http://127.0.0.1:8080' } },
});
