// What can be asked from: views and their columns, with what they say of themselves. A click inserts a name.

import { useState } from 'preact/hooks';
import type { Schemas } from '../../api';
import { strings } from '../../strings';
import { type Asked, Answer, Empty } from '../../ui/ask';

const words = strings.sql;

type View = Schemas['SqlView'];

/// Views of which something is called so, with their columns: all where the view itself is.
function matching(views: View[], wanted: string): View[] {
  const isWanted = (name: string) => name.toLowerCase().includes(wanted.trim().toLowerCase());
  return views.map((view) => (isWanted(view.name) ? view : { ...view, columns: view.columns.filter((column) => isWanted(column.name)) })).filter((view) => isWanted(view.name) || view.columns.length > 0);
}

/// As people say it, shorter than DuckDB does.
const typeName = (type: string) => type.replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ').toLowerCase();

export function Schema({ asked, onInsert }: { asked: Asked<Schemas['SqlSchema']>; onInsert: (text: string) => void }) {
  const [wanted, setWanted] = useState('');
  return (
    <section class="card schema">
      <h2>{words.schema}</h2>
      <input type="search" aria-label={words.schemaFilter} placeholder={words.schemaFilter} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
      <Answer asked={asked}>
        {({ views }) => {
          const found = matching(views, wanted);
          if (found.length === 0) return <Empty>{words.schemaNone}</Empty>;
          return found.map((view) => <Described key={view.name} view={view} isOpen={wanted.trim() !== ''} onInsert={onInsert} />);
        }}
      </Answer>
    </section>
  );
}

function Described({ view, isOpen, onInsert }: { view: View; isOpen: boolean; onInsert: (text: string) => void }) {
  return (
    <details open={isOpen}>
      <summary>
        <code>{view.name}</code>
      </summary>
      <p class="quiet">
        {view.comment}{' '}
        <button type="button" class="link" onClick={() => onInsert(view.name)}>
          {words.insert(view.name)}
        </button>
      </p>
      <ul>
        {view.columns.map((column) => (
          <li key={column.name}>
            <button type="button" class="link" onClick={() => onInsert(column.name)} title={words.insert(column.name)}>
              {column.name}
            </button>{' '}
            <span class="quiet type">{typeName(column.type)}</span>
            {column.comment && <span class="quiet under">{column.comment}</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}
