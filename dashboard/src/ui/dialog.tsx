// A dialog in front of the page: the browser's own, which keeps the focus inside and closes on Escape.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { strings } from '../strings';

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; isWide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // One that is taken away without being closed would keep the focus from where it came.
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} class={props.isWide ? 'wide' : ''} aria-label={props.title} onClose={props.onClose}>
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="link" onClick={() => dialog.current?.close()}>
          {strings.close}
        </button>
      </header>
      {props.children}
    </dialog>
  );
}
