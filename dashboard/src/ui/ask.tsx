// Asks the server from a component, and shows what loading, failing and finding nothing look like.

import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../api';
import { strings } from '../strings';

export interface Asked<T> {
  data?: T;
  problem?: Problem;
  isLoading: boolean;
  again: () => void;
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem(strings.errors.unknown, 0);
}

/// Asks when `deps` change, and again each `everyMs`. The last answer stays while the next is awaited. An answer to an
/// older question is dropped, and its question given up.
export function useAsk<T>(ask: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[], everyMs?: number): Asked<T> {
  const [state, setState] = useState<{ data?: T; problem?: Problem; isLoading: boolean }>({ isLoading: true });
  const [round, setRound] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    const abort = new AbortController();
    setState((old) => ({ ...old, isLoading: true }));
    latest.current(abort.signal).then(
      (data) => abort.signal.aborted || setState({ data, isLoading: false }),
      (error: unknown) => abort.signal.aborted || setState((old) => ({ ...old, problem: asProblem(error), isLoading: false })),
    );
    return () => abort.abort();
  }, [...deps, round]);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => document.visibilityState === 'visible' && setRound((n) => n + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  const again = useCallback(() => setRound((n) => n + 1), []);
  return { ...state, again };
}

/// The answer once it is there; words until then.
export function Answer<T>(props: { asked: Asked<T>; empty?: ComponentChildren; children: (data: T) => ComponentChildren }) {
  const { data, problem, isLoading, again } = props.asked;
  return (
    <div aria-busy={isLoading} class="answer">
      {problem && <Fault problem={problem} again={again} />}
      {data !== undefined ? props.children(data) : !problem && <p class="quiet loading">{strings.loading} …</p>}
    </div>
  );
}

export function Fault({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="fault" role="alert">
      <p>
        <strong>{strings.errors.title}</strong> {problem.message}
      </p>
      {problem.faults.length > 0 && (
        <ul>
          {problem.faults.map((fault) => (
            <li>
              <code>{fault.place}</code> {fault.reason}
            </li>
          ))}
        </ul>
      )}
      {again && (
        <button type="button" onClick={again}>
          {strings.retry}
        </button>
      )}
    </div>
  );
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="quiet empty">{children}</p>;
