// Alerts: what fires and fired, the rules that make it fire, silences, and endpoints that are told. `tab` of the address
// says which is shown.

import './alerts.css';
import type { ComponentType } from 'preact';
import { isWithheld } from '../session';
import { strings } from '../strings';
import { linkTo, param } from '../url';
import { Endpoints } from './alerts/endpoints';
import { Now } from './alerts/now';
import { Rules } from './alerts/rules';
import { Silences } from './alerts/silences';

const words = strings.alerts;

const tabs: Record<keyof typeof words.tab, ComponentType> = { now: Now, rules: Rules, silences: Silences, endpoints: Endpoints };

type Name = keyof typeof tabs;

/// What tells of single clients.
const ofClients: Name[] = ['now', 'silences'];

export function Alerts() {
  const names = (Object.keys(tabs) as Name[]).filter((name) => !isWithheld.value || !ofClients.includes(name));
  const tab = names.find((name) => name === param('tab')) ?? names[0] ?? 'rules';
  const Tab = tabs[tab];
  return (
    <div class="alerts-view">
      <nav class="tabs" aria-label={words.tabs}>
        {names.map((name) => (
          <a href={linkTo('alerts', { tab: name })} aria-current={name === tab ? 'page' : undefined}>
            {words.tab[name]}
          </a>
        ))}
      </nav>
      <Tab key={tab} />
    </div>
  );
}
