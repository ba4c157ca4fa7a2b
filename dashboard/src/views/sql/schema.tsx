// The views that may be asked, with their columns and what they say of themselves.

import { useState } from 'preact/hooks';
import type { Schemas } from '../../api';
import { strings } from '../../strings';

const words = strings.sql;

export function SchemaTree({ views, onChoose }: { views: Schemas['SqlView'][]; onChoose: (name: string) => void }) {
  const [wanted, setWanted] = useState('');
  const has = (text: string) => text.toLowerCase().includes(wanted.toLowerCase());
  const shown = views.filter((view) => has(view.name) || view.columns.some((column) => has(column.name)));
  return (
    <>
      <label>
        <span class="hidden">{words.filter}</span>
        <input type="search" placeholder={words.filter} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
      </label>
      {shown.map((view) => (
        <details key={view.name} open={wanted !== ''}>
          <summary>
            <span class="mono">{view.name}</span>
          </summary>
          <p class="quiet">{view.comment}</p>
          <button type="button" class="link" onClick={() => onChoose(view.name)}>
            {words.insert(view.name)}
          </button>
          <dl>
            {view.columns.map((column) => (
              <div>
                <dt>
                  <button type="button" class="link mono" onClick={() => onChoose(column.name)}>
                    {column.name}
                  </button>{' '}
                  <span class="quiet">{column.type.toLowerCase().replace(' with time zone', 'tz')}</span>
                </dt>
                {column.comment && <dd class="quiet">{column.comment}</dd>}
              </div>
            ))}
          </dl>
        </details>
      ))}
    </>
  );
}
