// Statements that were asked before, in this browser.

import { signal } from '@preact/signals';

const KEY = 'footfall-sql-history';
const KEPT = 20;

export interface AskedBefore {
  sql: string;
  /// Unix milliseconds.
  at: number;
  /// `undefined`: it failed.
  rows?: number;
}

function stored(): AskedBefore[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(found) ? (found as AskedBefore[]).filter((one) => typeof one?.sql === 'string' && typeof one.at === 'number') : [];
  } catch {
    return [];
  }
}

/// Newest first, each statement once.
export const askedBefore = signal<AskedBefore[]>(stored());

export function keep(asked: AskedBefore): void {
  askedBefore.value = [asked, ...askedBefore.value.filter((one) => one.sql !== asked.sql)].slice(0, KEPT);
  localStorage.setItem(KEY, JSON.stringify(askedBefore.value));
}

export function forget(): void {
  askedBefore.value = [];
  localStorage.removeItem(KEY);
}
