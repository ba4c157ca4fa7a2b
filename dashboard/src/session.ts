// Who looks at the page, where the server wants to know.

import { computed, signal } from '@preact/signals';
import { type Schemas, client, isStranger, told } from './api';

/// Who it is, and what they may; `undefined` until it is known.
export const session = signal<Schemas['SessionInfo'] | undefined>();

/// Whether counts of few clients, and all that tells of single ones, are kept from whoever looks.
export const isWithheld = computed(() => session.value?.counts_withheld_below != null);

export async function loadSession(): Promise<void> {
  session.value = await told(client.GET('/v1/session'));
  if (session.value.is_required && !session.value.name) isStranger.value = true;
}

/// Throws a Problem where the name or the password is wrong.
export async function logIn(name: string, password: string): Promise<void> {
  session.value = await told(client.POST('/v1/login', { body: { name, password } }));
  isStranger.value = false;
}

export async function logOut(): Promise<void> {
  await told(client.POST('/v1/logout'));
  // Nothing of what was seen stays on the screen or in memory.
  location.reload();
}
