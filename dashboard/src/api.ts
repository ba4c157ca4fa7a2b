// Asks the server. Types come from its own OpenAPI document; everything that goes wrong becomes a Problem with words.

import { signal } from '@preact/signals';
import createClient from 'openapi-fetch';
import type { components, paths } from './api/schema';
import { strings } from './strings';

export type Schemas = components['schemas'];

/// Whether the server wants to know who asks, and does not.
export const isStranger = signal(false);

/// What the server, or the way to it, found wrong; `message` can be shown.
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly faults: Schemas['Fault'][] = [],
  ) {
    super(message);
  }
}

/// Beside the page, wherever that is served.
export const base = new URL('.', document.baseURI).pathname.replace(/\/$/, '');

export const client = createClient<paths>({ baseUrl: base });

/// The answer, or a Problem thrown: `await told(client.GET('/v1/sites'))`. JSON, of the forms that there are.
export async function told<T>(asking: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<Exclude<T, string>> {
  let answer;
  try {
    answer = await asking;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(strings.errors.unreachable, 0);
  }
  const { data, error, response } = answer;
  if (response.ok) return data as Exclude<T, string>;
  // A name or a password that is wrong is told where it was typed.
  if (response.status === 401 && !response.url.endsWith('/v1/login')) isStranger.value = true;
  const problem = error as Partial<Schemas['Problem']> | undefined;
  throw new Problem(problem?.detail ?? strings.errors.status(response.status), response.status, problem?.errors ?? []);
}

/// An address of the API with its parameters, for downloads and images.
export function address(path: string, query: Record<string, string | number | boolean | undefined> = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') params.set(name, String(value));
  const text = params.toString();
  return base + path + (text ? `?${text}` : '');
}
