// The editor: CodeMirror with SQL, completing what can be asked from. Tab is left to the browser, so it leads out.

import { SQLDialect, type SQLNamespace, sql } from '@codemirror/lang-sql';
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
    // Pictures that most fonts do not have.
    '.cm-completionIcon': { display: 'none' },
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

/// What a statement that only reads may hold. PostgreSQL's own list has hundreds that DuckDB does not know.
const duckdb = SQLDialect.define({
  keywords:
    'all and anti any array as asc asof at between by case cast collate columns cross cube current_date current_timestamp desc describe distinct else end escape except exclude exists extract false filter first following for from full glob group grouping having ilike in inner intersect interval is isnull join last lateral left like limit natural not notnull nulls offset on or order outer over partition percent pivot positional preceding qualify range recursive replace respect right rollup row rows sample select semi sets similar summarize table tablesample then ties to true unbounded union unnest unpivot using values when where window with within without',
  types: 'bigint blob boolean date decimal double float hugeint integer json list map smallint struct time timestamp timestamptz tinyint ubigint uinteger uuid varchar',
  builtin:
    'abs any_value approx_count_distinct approx_quantile arg_max arg_min avg ceil coalesce concat contains corr count date_diff date_part date_trunc day dayname epoch epoch_ms first_value floor generate_series greatest histogram hour ifnull json_extract_string lag last_value lead least length list_contains lower max median min minute mode month now ntile nullif quantile_cont rank regexp_matches round row_number stddev strftime string_agg sum time_bucket trim upper weekday year',
});

function language(views: Schemas['SqlView'][]) {
  const schema: SQLNamespace = Object.fromEntries(
    views.map((view) => [view.name, view.columns.map((column) => ({ label: column.name, type: 'property', detail: column.type.toLowerCase(), info: column.comment ?? undefined }))]),
  );
  return sql({ dialect: duckdb, schema, upperCaseKeywords: true });
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
