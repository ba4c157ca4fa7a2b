// The corners of a zone as numbers: what the pointer does on the plan, by keyboard.

import type { Point } from '../../plan/geometry';
import { strings } from '../../strings';
import { withCorner } from './draft';

const words = strings.zones.corners;

export function Corners({ rings, onChange }: { rings: Point[][]; onChange: (rings: Point[][]) => void }) {
  const replace = (index: number, ring: Point[]) => onChange(rings.map((one, i) => (i === index ? ring : one)));
  return (
    <details class="corners">
      <summary>{words.title(rings.reduce((sum, ring) => sum + ring.length, 0))}</summary>
      <p class="quiet">{words.explained}</p>
      {rings.map((ring, index) => (
        <Ring
          key={index}
          name={index === 0 ? words.outline : words.hole(index)}
          ring={ring}
          onChange={(changed) => replace(index, changed)}
          onRemove={index > 0 ? () => onChange(rings.filter((_, i) => i !== index)) : undefined}
        />
      ))}
    </details>
  );
}

interface RingProps {
  name: string;
  ring: Point[];
  onChange: (ring: Point[]) => void;
  onRemove?: () => void;
}

function Ring({ name, ring, onChange, onRemove }: RingProps) {
  const move = (at: number, axis: 0 | 1) => (event: Event) => {
    const value = (event.currentTarget as HTMLInputElement).valueAsNumber;
    if (Number.isNaN(value)) return;
    onChange(ring.map((corner, i) => (i === at ? (axis === 0 ? [value, corner[1]] : [corner[0], value]) : corner)));
  };
  return (
    <table>
      <caption>
        {name}{' '}
        {onRemove && (
          <button type="button" class="link" onClick={onRemove}>
            {words.removeRing(name)}
          </button>
        )}
      </caption>
      <thead>
        <tr>
          <th scope="col">{words.corner}</th>
          <th scope="col">{words.x}</th>
          <th scope="col">{words.y}</th>
          <th scope="col">{words.acts}</th>
        </tr>
      </thead>
      <tbody>
        {ring.map(([x, y], at) => (
          <tr key={at}>
            <th scope="row">{at + 1}</th>
            <td>
              <input type="number" step="any" value={x} aria-label={words.xOf(name, at + 1)} onChange={move(at, 0)} />
            </td>
            <td>
              <input type="number" step="any" value={y} aria-label={words.yOf(name, at + 1)} onChange={move(at, 1)} />
            </td>
            <td class="acts">
              <button type="button" aria-label={words.addAfter(name, at + 1)} title={words.addAfter(name, at + 1)} onClick={() => onChange(withCorner(ring, at))}>
                +
              </button>
              <button
                type="button"
                aria-label={words.remove(name, at + 1)}
                title={words.remove(name, at + 1)}
                disabled={ring.length <= 3}
                onClick={() => onChange(ring.filter((_, i) => i !== at))}
              >
                −
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
