// Alerts: what fires and fired, the rules that make it fire, silences, and endpoints that are told. `tab` of the address
// says which is shown.

import './alerts.css';
import type { ComponentType } from 'preact';
import { strings } from '../strings';
import { linkTo, param } from '../url';
import { Endpoints } from './alerts/endpoints';
import { Now } from './alerts/now';
import { Rules } from './alerts/rules';
import { Silences } from './alerts/silences';

const words = strings.alerts;

const tabs: Record<keyof typeof words.tab, ComponentType> = { now: Now, rules: Rules, silences: Silences, endpoints: Endpoints };

export function Alerts() {
  const asked = param('tab', 'now');
  const tab = (asked in tabs ? asked : 'now') as keyof typeof tabs;
  const Tab = tabs[tab];
  return (
    <div class="alerts-view">
      <nav class="tabs" aria-label={words.tabs}>
        {Object.entries(words.tab).map(([name, label]) => (
          <a href={linkTo('alerts', { tab: name })} aria-current={name === tab ? 'page' : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <Tab key={tab} />
    </div>
  );
}
