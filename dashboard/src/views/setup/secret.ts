// A secret to begin with: made in the browser, and kept while the page is open.

import { signal } from '@preact/signals';

/// 32 bytes, in letters and digits that every form takes.
function newSecret(): string {
  return [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const secret = signal(newSecret());
export const renewSecret = () => (secret.value = newSecret());
