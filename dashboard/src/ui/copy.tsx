// A text to be copied elsewhere, with a button that copies it.

import './copy.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { strings } from '../strings';

const words = strings.setup;

/// How long the button says that it copied, milliseconds.
const SAID_MS = 2000;

export function Copy({ text, what, isBlock }: { text: string; what: string; isBlock?: boolean }) {
  const shown = useRef<HTMLElement>(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(''), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid(words.copied);
    } catch {
      // Without TLS browsers have no clipboard: what is to be copied is selected instead.
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      setSaid(words.copyFailed);
    }
  };
  return (
    <div class={isBlock ? 'copy block' : 'copy'}>
      {isBlock ? (
        <pre tabIndex={0} aria-label={what}>
          <code ref={shown}>{text}</code>
        </pre>
      ) : (
        <code ref={shown}>{text}</code>
      )}
      <button type="button" onClick={() => void copy()} aria-label={words.copyNamed(what)}>
        {words.copy}
      </button>
      <span role="status" class="quiet">
        {said}
      </span>
    </div>
  );
}
