// Nearer, farther, and the whole floor.

import { strings } from '../strings';
import type { Plan } from './plan';

const words = strings.live;

export function Zoom({ plan }: { plan: { current?: Plan | undefined } }) {
  const buttons: [string, string, () => void][] = [
    [words.zoomIn, '+', () => plan.current?.zoom(1)],
    [words.zoomOut, '−', () => plan.current?.zoom(-1)],
    [words.fit, '⤢', () => plan.current?.fit(200)],
  ];
  return (
    <div class="zoom">
      {buttons.map(([name, sign, act]) => (
        <button type="button" aria-label={name} title={name} onClick={act}>
          {sign}
        </button>
      ))}
    </div>
  );
}
