// What each source has sent.

import type { Schemas } from '../../api';
import { strings } from '../../strings';
import { ago } from './steps';

const words = strings.setup.sources;

export function SourceTable({ sources }: { sources: Schemas['WebhookSource'][] }) {
  return (
    <section class="card" aria-labelledby="sources">
      <h2 id="sources">{words.title}</h2>
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="sources">
        <table class="sources">
          <caption class="hidden">{words.caption}</caption>
          <thead>
            <tr>
              <th scope="col">{words.source}</th>
              <th scope="col">{words.path}</th>
              <th scope="col" class="number">
                {words.deliveries}
              </th>
              <th scope="col">{words.last}</th>
              <th scope="col">{words.ping}</th>
              <th scope="col">{words.topics}</th>
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <tr key={source.name}>
                <th scope="row">
                  {source.name} {!source.is_configured && <span class="tag">{words.gone}</span>}
                </th>
                <td>
                  <code>{source.path}</code>
                </td>
                <td class="number">{source.deliveries.toLocaleString('en')}</td>
                <td>{source.last_received_at ? ago(source.last_received_at) : words.never}</td>
                <td>{source.last_ping_at ? ago(source.last_ping_at) : words.never}</td>
                <td class="tags">
                  {source.topics.map((topic) => (
                    <span class="tag">{topic}</span>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
