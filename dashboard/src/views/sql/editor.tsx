// The editor: CodeMirror with SQL, completing what can be asked from. Tab is left to the browser, so it leads out.

import { PostgreSQL, type SQLNamespace, sql } from '@codemirror/lang-sql';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { EditorView, basicSetup } from 'codemirror';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Schemas } from '../../api';
import { strings } from '../../strings';

/// Colours come from the theme's variables, so both themes are one.
const look = [
  EditorView.theme({
    '&': { color: 'var(--ink)', backgroundColor: 'var(--surface)', border: '1px solid var(--line)', borderRadius: '6px' },
    '&.cm-focused': { outline: '3px solid var(--accent)', outlineOffset: '2px' },
    '.cm-scroller': { fontFamily: "ui-monospace, 'Cascadia Mono', Menlo, monospace", fontSize: '0.92rem', minHeight: '140px', maxHeight: '40vh' },
    '.cm-content': { caretColor: 'var(--ink)' },
    '.cm-cursor': { borderLeftColor: 'var(--ink)' },
    '.cm-gutters': { backgroundColor: 'var(--ground)', color: 'var(--quiet)', border: 'none' },
    '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'transparent' },
    '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--accent-soft)' },
    '.cm-matchingBracket, &.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: '1px solid var(--accent)' },
    '.cm-selectionMatch': { backgroundColor: 'var(--accent-soft)' },
    '.cm-tooltip': { color: 'var(--ink)', backgroundColor: 'var(--surface)', border: '1px solid var(--line)' },
    '.cm-tooltip-autocomplete > ul > li[aria-selected]': { color: 'var(--on-accent)', backgroundColor: 'var(--accent)' },
    '.cm-panels': { color: 'var(--ink)', backgroundColor: 'var(--ground)' },
  }),
  syntaxHighlighting(
    HighlightStyle.define([
      { tag: tags.keyword, color: 'var(--accent)', fontWeight: '600' },
      { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
      { tag: [tags.number, tags.bool, tags.null], color: 'var(--warn)' },
      { tag: tags.comment, color: 'var(--quiet)', fontStyle: 'italic' },
      { tag: tags.typeName, color: 'var(--accent)' },
    ]),
  ),
];

function language(views: Schemas['SqlView'][]) {
  const schema: SQLNamespace = Object.fromEntries(
    views.map((view) => [view.name, view.columns.map((column) => ({ label: column.name, type: 'property', detail: column.type.toLowerCase(), info: column.comment ?? undefined }))]),
  );
  return sql({ dialect: PostgreSQL, schema, upperCaseKeywords: true });
}

/// What the view does with the editor. It keeps its own text, as CodeMirror does.
export interface Editing {
  text: () => string;
  write: (text: string) => void;
  /// Writes where the cursor is, in place of what is selected.
  insert: (text: string) => void;
  focus: () => void;
}

interface EditorProps {
  start: string;
  views: Schemas['SqlView'][];
  onRun: () => void;
  handle: { current: Editing | undefined };
}

export function Editor({ start, views, onRun, handle }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const shown = useRef<{ view: EditorView; language: Compartment } | undefined>(undefined);
  const run = useRef(onRun);
  run.current = onRun;
  // Before the effects of the view, which read the text.
  useLayoutEffect(() => {
    if (!box.current) return;
    const completes = new Compartment();
    const extensions = [
      Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (run.current(), true) }])),
      basicSetup,
      look,
      completes.of(language(views)),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': strings.sql.statement }),
    ];
    const view = new EditorView({ parent: box.current, state: EditorState.create({ doc: start, extensions }) });
    shown.current = { view, language: completes };
    handle.current = {
      text: () => view.state.doc.toString(),
      write: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
      insert: (text) => {
        view.dispatch(view.state.replaceSelection(text));
        view.focus();
      },
      focus: () => view.focus(),
    };
    return () => {
      handle.current = undefined;
      view.destroy();
    };
  }, []);
  useEffect(() => shown.current?.view.dispatch({ effects: shown.current.language.reconfigure(language(views)) }), [views]);
  return <div ref={box} class="editor" />;
}
