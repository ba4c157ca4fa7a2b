// The editor of a statement: CodeMirror, which completes names of views and columns.

import { PostgreSQL, sql } from '@codemirror/lang-sql';
import { Compartment, Prec } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { basicSetup } from 'codemirror';
import { useEffect, useRef } from 'preact/hooks';
import type { Schemas } from '../../api';
import { strings } from '../../strings';

export interface EditorProps {
  /// What it begins with; from then on the editor has the text, and tells of it.
  text: string;
  onText: (text: string) => void;
  onRun: (text: string) => void;
  /// Set to what puts a text where the cursor is, or in place of all.
  insert: { current: (text: string, isAll?: boolean) => void };
  schema: Schemas['SqlSchema'] | undefined;
}

const language = new Compartment();

function dialect(schema: Schemas['SqlSchema'] | undefined) {
  const tables = (schema?.views ?? []).map((view) => [view.name, view.columns.map((column) => column.name)] as const);
  return sql({ dialect: PostgreSQL, schema: Object.fromEntries(tables), upperCaseKeywords: true });
}

export function Editor({ text, onText, onRun, insert, schema }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const run = useRef(onRun);
  run.current = onRun;
  useEffect(() => {
    if (!box.current) return;
    const runs = { key: 'Mod-Enter', run: (editor: EditorView) => (run.current(editor.state.doc.toString()), true) };
    const editor = new EditorView({
      parent: box.current,
      doc: text,
      extensions: [
        Prec.highest(keymap.of([runs])),
        basicSetup,
        language.of(dialect(schema)),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': strings.sql.editor }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onText(update.state.doc.toString());
        }),
      ],
    });
    view.current = editor;
    insert.current = (added, isAll) => {
      const all = { changes: { from: 0, to: editor.state.doc.length, insert: added } };
      editor.dispatch(isAll ? all : editor.state.replaceSelection(added));
      editor.focus();
    };
    return () => editor.destroy();
  }, []);
  useEffect(() => view.current?.dispatch({ effects: language.reconfigure(dialect(schema)) }), [schema]);
  return <div ref={box} class="editor" />;
}
