// Asks one statement at a time, and gives it up.

import { useEffect, useRef, useState } from 'preact/hooks';
import { type Problem, type Schemas, address, client, told } from '../../api';
import { strings } from '../../strings';
import { asProblem } from '../../ui/ask';
import { download } from '../../ui/chart';
import type { AskedBefore } from './asked';

/// Rows that are asked for; downloads take as many as the server gives.
export const ROWS = 10_000;
const ROWS_MAX = 100_000;

export type Row = Record<string, unknown>;
export type Column = Schemas['SqlColumn'];

export interface Found {
  sql: string;
  columns: Column[];
  rows: Row[];
  is_truncated: boolean;
  duration_ms: number;
}

export interface Statement {
  /// Resolves to what is to be remembered of it; to nothing when it was given up.
  ask: (sql: string) => Promise<AskedBefore | undefined>;
  stop: () => void;
  save: (form: 'csv' | 'arrow' | 'parquet') => Promise<void>;
  isRunning: boolean;
  isStopped: boolean;
  startedAt: number;
  found?: Found;
  problem?: Problem;
}

interface State {
  isRunning: boolean;
  isStopped: boolean;
  startedAt: number;
  found?: Found;
  problem?: Problem;
}

export function useStatement(): Statement {
  const [state, setState] = useState<State>({ isRunning: false, isStopped: false, startedAt: 0 });
  const running = useRef<AbortController | undefined>(undefined);
  const stop = () => {
    running.current?.abort();
    running.current = undefined;
    setState((old) => (old.isRunning ? { ...old, isRunning: false, isStopped: true } : old));
  };
  useEffect(() => () => running.current?.abort(), []);
  const ask = async (sql: string): Promise<AskedBefore | undefined> => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setState({ isRunning: true, isStopped: false, startedAt: Date.now(), found: state.found });
    try {
      const answer = await told(client.POST('/v1/sql', { body: { sql, limit: ROWS, timeout_s: 60 }, signal: abort.signal }));
      if (abort.signal.aborted) return undefined;
      const found = { ...answer, rows: answer.rows as Row[], sql };
      setState({ isRunning: false, isStopped: false, startedAt: 0, found });
      return { sql, at: Date.now(), rows: found.rows.length };
    } catch (error) {
      if (abort.signal.aborted) return undefined;
      setState({ isRunning: false, isStopped: false, startedAt: 0, problem: asProblem(error) });
      return { sql, at: Date.now() };
    }
  };
  const save = async (form: 'csv' | 'arrow' | 'parquet') => {
    if (!state.found) return;
    try {
      const data = await file(state.found.sql, form);
      const url = URL.createObjectURL(data);
      download(url, `${strings.title}.${form}`);
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      setState((old) => ({ ...old, problem: asProblem(error) }));
    }
  };
  return { ask, stop, save, ...state };
}

/// The answer as a file.
async function file(sql: string, form: string): Promise<Blob> {
  const asking = fetch(address('/v1/sql', { format: form }), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql, limit: ROWS_MAX, timeout_s: 60 }) });
  const response = asking.then(async (response) => ({ response, ...(response.ok ? { data: await response.blob() } : { error: (await response.json().catch(() => undefined)) as unknown }) }));
  return told<Blob>(response);
}
