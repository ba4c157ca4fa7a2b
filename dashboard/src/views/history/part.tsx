// A part of the view that asks for itself: its name stands over what it says while it loads, fails, or finds nothing.

import type { ComponentChildren } from 'preact';
import { Answer, type Asked, Empty } from '../../ui/ask';

export interface PartProps<T> {
  title: string;
  asked: Asked<T>;
  /// Words when the answer holds nothing to show.
  empty: string;
  isEmpty: (found: T) => boolean;
  isWide?: boolean;
  children: (found: T) => ComponentChildren;
}

export function Part<T>({ title, asked, empty, isEmpty, isWide, children }: PartProps<T>) {
  const { data, problem } = asked;
  const isShown = data !== undefined && !isEmpty(data) && !problem;
  return (
    <div class={isWide ? 'part wide' : 'part'}>
      {isShown ? (
        <Answer asked={asked}>{children}</Answer>
      ) : (
        <section class="card">
          <h3>{title}</h3>
          <Answer asked={asked}>{(found) => (isEmpty(found) ? <Empty>{empty}</Empty> : children(found))}</Answer>
        </section>
      )}
    </div>
  );
}
