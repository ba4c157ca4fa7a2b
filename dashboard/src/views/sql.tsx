// SQL: a statement of one's own, the views it may ask beside it, the answer as a table, a chart or a file.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem, type Schemas, address, client, told } from '../api';
import { strings } from '../strings';
import { Answer, Empty, Fault, asProblem, useAsk } from '../ui/ask';
import { download } from '../ui/chart';
import { param, setParams } from '../url';
import { Editor } from './sql/editor';
import { Result } from './sql/result';
import { SchemaTree } from './sql/schema';
import './sql.css';

const words = strings.sql;

/// Rows that are asked for to be looked at; files may have more.
const ROWS = 5000;
const FILE_ROWS = 100_000;
const HISTORY_KEY = 'footfall-sql';
const HISTORY_MAX = 20;

function storedHistory(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

export function Sql() {
  const [text, setText] = useState(param('q', words.examples[0]?.sql));
  const [answer, setAnswer] = useState<Schemas['SqlAnswer']>();
  const [problem, setProblem] = useState<Problem>();
  const [history, setHistory] = useState(storedHistory);
  const running = useRef<AbortController | undefined>(undefined);
  const [isRunning, setRunning] = useState(false);
  const insert = useRef<(text: string, isAll?: boolean) => void>(() => undefined);
  const schema = useAsk((signal) => told(client.GET('/v1/sql/schema', { signal })), []);

  const remember = (sql: string) => {
    const next = [sql, ...history.filter((one) => one !== sql)].slice(0, HISTORY_MAX);
    setHistory(next);
    localStorage.setItem(HISTORY_KEY, JSON.stringify(next));
  };
  const run = async (sql: string) => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setRunning(true);
    setParams({ q: sql });
    try {
      const found = await told(client.POST('/v1/sql', { body: { sql, limit: ROWS, params: [], timeout_s: 60 }, signal: abort.signal }));
      setAnswer(found);
      setProblem(undefined);
      remember(sql);
    } catch (error) {
      if (!abort.signal.aborted) setProblem(asProblem(error));
    }
    if (running.current === abort) setRunning(false);
  };
  const stop = () => {
    running.current?.abort();
    setRunning(false);
  };
  // Whoever was given the address sees the answer.
  useEffect(() => {
    if (param('q')) void run(text);
    return stop;
  }, []);

  const save = async (format: string) => {
    try {
      const asked = await fetch(address('/v1/sql', { format }), { method: 'POST', body: JSON.stringify({ sql: text, limit: FILE_ROWS, timeout_s: 60 }) });
      if (!asked.ok) throw new Problem(((await asked.json()) as Schemas['Problem']).detail, asked.status);
      const url = URL.createObjectURL(await asked.blob());
      download(url, `footfall.${format}`);
      URL.revokeObjectURL(url);
      setProblem(asked.headers.get('x-is-truncated') === 'true' ? new Problem(words.fileCut(FILE_ROWS), 0) : undefined);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const choose = (sql: string) => {
    insert.current(sql, true);
    void run(sql);
  };

  return (
    <div class="sql">
      <section class="card">
        <h2>{words.title}</h2>
        <Editor text={text} onText={setText} onRun={(sql) => void run(sql)} insert={insert} schema={schema.data} />
        <p class="quiet">{words.keys}</p>
        <div class="row">
          <button type="button" class="primary" onClick={() => void run(text)} disabled={isRunning || !text.trim()}>
            {words.run}
          </button>
          <button type="button" onClick={stop} disabled={!isRunning}>
            {words.stop}
          </button>
          <label>
            <span class="hidden">{words.start}</span>
            <select value="" onChange={(event) => event.currentTarget.value && choose(event.currentTarget.value)}>
              <option value="">{words.start}</option>
              <optgroup label={words.exampleGroup}>
                {words.examples.map(({ name, sql }) => (
                  <option value={sql}>{name}</option>
                ))}
              </optgroup>
              {history.length > 0 && (
                <optgroup label={words.historyGroup}>
                  {history.map((sql) => (
                    <option value={sql}>{sql.replace(/\s+/g, ' ').slice(0, 80)}</option>
                  ))}
                </optgroup>
              )}
            </select>
          </label>
          <span class="spring" />
          {['csv', 'arrow', 'parquet'].map((format) => (
            <button type="button" onClick={() => void save(format)} disabled={!text.trim()}>
              {words.file(format)}
            </button>
          ))}
        </div>
      </section>
      <section class="card result" aria-live="polite" aria-busy={isRunning} aria-label={words.result}>
        {problem && <Fault problem={problem} />}
        {isRunning ? <p class="quiet">{words.running} …</p> : answer ? <Result answer={answer} /> : !problem && <Empty>{words.nothingYet}</Empty>}
      </section>
      <aside class="card schema">
        <h2>{words.schema}</h2>
        <Answer asked={schema}>{({ views }) => <SchemaTree views={views} onChoose={(name) => insert.current(name)} />}</Answer>
      </aside>
    </div>
  );
}
