// SQL: one statement that reads, its answer as a table or a chart, and what can be asked from. The statement is in the
// address, as `q`: whoever gets that sees the same answer.

import './sql.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Schemas, client, told } from '../api';
import { strings } from '../strings';
import { Fault, useAsk } from '../ui/ask';
import { param, setParams } from '../url';
import { keep } from './sql/asked';
import { type Editing, Editor } from './sql/editor';
import { Past } from './sql/past';
import { Result } from './sql/result';
import { Schema } from './sql/schema';
import { useStatement } from './sql/statement';

const words = strings.sql;

const noViews: Schemas['SqlView'][] = [];
const firstExample = words.example[0]?.sql ?? '';

export function Sql() {
  const schema = useAsk((signal) => told(client.GET('/v1/sql/schema', { signal })), []);
  const editor = useRef<Editing | undefined>(undefined);
  const statement = useStatement();
  const [isBlank, setBlank] = useState(false);
  const run = () => {
    const sql = editor.current?.text().trim() ?? '';
    setBlank(sql === '');
    if (sql === '') return;
    setParams({ q: sql });
    void statement.ask(sql).then((asked) => asked && keep(asked));
  };
  const asked = param('q');
  // An address that came with a statement, or another one by Back.
  useEffect(() => {
    if (asked === '' || asked === editor.current?.text().trim()) return;
    editor.current?.write(asked);
    run();
  }, [asked]);
  useEffect(() => {
    if (asked !== '') run();
  }, []);
  const choose = (sql: string) => {
    editor.current?.write(sql);
    editor.current?.focus();
  };
  return (
    <div class="sql-view">
      <section class="ask card" aria-label={words.statement}>
        <Editor handle={editor} start={asked || firstExample} views={schema.data?.views ?? noViews} onRun={run} />
        <div class="row">
          <button type="button" class="primary" onClick={run} disabled={statement.isRunning}>
            {words.run}
          </button>
          <button type="button" onClick={statement.stop} disabled={!statement.isRunning}>
            {words.stop}
          </button>
          <label>
            <span class="hidden">{words.examples}</span>
            <select value="" onChange={(event) => choose(words.example[Number(event.currentTarget.value)]?.sql ?? '')}>
              <option value="">{words.chooseExample}</option>
              {words.example.map((one, at) => (
                <option value={at}>{one.name}</option>
              ))}
            </select>
          </label>
          <Status {...statement} />
        </div>
        <p class="quiet hint">{words.hint}</p>
        {isBlank && <p class="fault">{words.nothingAsked}</p>}
        {statement.problem && <Fault problem={statement.problem} />}
      </section>
      <Result statement={statement} />
      <aside class="beside">
        <Schema asked={schema} onInsert={(text) => editor.current?.insert(text)} />
        <Past onChoose={choose} />
      </aside>
    </div>
  );
}

function Status({ isRunning, isStopped, startedAt }: { isRunning: boolean; isStopped: boolean; startedAt: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return (
    <span role="status" class="quiet">
      {isRunning ? words.running(Math.max(0, Math.round((now - startedAt) / 1000))) : isStopped ? words.stopped : ''}
    </span>
  );
}
