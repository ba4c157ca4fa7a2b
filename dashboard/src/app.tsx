// The frame of the page: site and floor, views, whether it is live; and the view that the address names.

import { type ComponentType } from 'preact';
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { follow, heardAt, status } from './live';
import { base, isStranger } from './api';
import { loadSession, logOut, session } from './session';
import { chooseMap, chooseSite, isKiosk, loadPlaces, map, problem, site, siteMaps, sites, theme, type Theme } from './state';
import { strings } from './strings';
import { asProblem, Fault } from './ui/ask';
import { Login } from './ui/login';
import { linkTo, place, setParams } from './url';
import { Live } from './views/live';

type View = ComponentType<Record<string, never>>;

/// Views beside the first come when they are asked for.
const views: Record<string, () => Promise<View>> = {
  live: async () => Live,
  history: async () => (await import('./views/history')).History,
  zones: async () => (await import('./views/zones')).Zones,
  alerts: async () => (await import('./views/alerts')).Alerts,
  sql: async () => (await import('./views/sql')).Sql,
  setup: async () => (await import('./views/setup')).Setup,
};

export function App() {
  useEffect(() => {
    if (isStranger.value) return;
    // What may be shown is known before anything is. What is wrong with the server is told of where places are loaded.
    const known = session.value ? Promise.resolve() : loadSession().catch(() => undefined);
    void known.then(() => (isStranger.value ? undefined : loadPlaces()));
    return follow(() => site.value?.site_id);
  }, [isStranger.value]);
  // An empty server says what to do first.
  useEffect(() => {
    if (sites.value?.length === 0 && place.value.view === 'live') location.replace(linkTo('setup'));
  }, [sites.value]);
  if (isStranger.value) return <Login />;
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), document.getElementById('content')?.focus())}>
        {strings.skip}
      </a>
      <Header />
      <main id="content" tabIndex={-1} class={`view-${place.value.view}`}>
        {problem.value ? <Fault problem={problem.value} again={() => void loadPlaces()} /> : <Chosen />}
      </main>
    </>
  );
}

function Chosen() {
  const name = place.value.view;
  const [shown, setShown] = useState<{ name: string; view: View } | undefined>(name === 'live' ? { name, view: Live } : undefined);
  const [fault, reset] = useErrorBoundary((error) => console.error(error));
  useEffect(() => {
    reset();
    let isOver = false;
    const load = views[name];
    if (load) void load().then((view) => isOver || setShown({ name, view: view }));
    document.title = `${strings.title}: ${(strings.nav as Record<string, string>)[name] ?? ''}`;
    return () => void (isOver = true);
  }, [name]);
  if (!(name in views)) return <p class="fault">{strings.notFound}</p>;
  if (fault) return <Fault problem={asProblem(fault)} again={reset} />;
  if (!shown || shown.name !== name || sites.value === undefined) return <p class="quiet loading">{strings.loading} …</p>;
  const View = shown.view;
  return <View />;
}

function Header() {
  const name = place.value.view;
  return (
    <header class={isKiosk.value ? 'bar kiosk' : 'bar'}>
      <h1>
        <a href={linkTo('live')}>{strings.title}</a>
      </h1>
      <label>
        <span class="hidden">{strings.header.site}</span>
        <select value={site.value?.site_id ?? ''} onChange={(event) => chooseSite(event.currentTarget.value)} disabled={!sites.value?.length}>
          {(sites.value ?? []).map((one) => (
            <option value={one.site_id}>{one.name ?? one.site_id}</option>
          ))}
        </select>
      </label>
      <label>
        <span class="hidden">{strings.header.map}</span>
        <select value={map.value?.map_id ?? ''} onChange={(event) => chooseMap(event.currentTarget.value)} disabled={siteMaps.value.length === 0}>
          {siteMaps.value.length === 0 && <option value="">{strings.header.noMaps}</option>}
          {siteMaps.value.map((one) => (
            <option value={one.map_id}>{one.name ?? one.map_id}</option>
          ))}
        </select>
      </label>
      {!isKiosk.value && (
        <nav aria-label={strings.nav.label}>
          {Object.keys(views).map((view) => (
            <a href={linkTo(view)} aria-current={view === name ? 'page' : undefined}>
              {(strings.nav as Record<string, string>)[view]}
            </a>
          ))}
          <a href={`${base}/docs`}>{strings.nav.docs}</a>
        </nav>
      )}
      <span class="spring" />
      <Connection />
      {(name === 'live' || isKiosk.value) && (
        <button type="button" onClick={toggleKiosk}>
          {isKiosk.value ? strings.header.leaveKiosk : strings.header.kiosk}
        </button>
      )}
      {!isKiosk.value && (
        <label>
          <span class="hidden">{strings.header.theme}</span>
          <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
            {Object.entries(strings.header.themes).map(([value, words]) => (
              <option value={value}>{words}</option>
            ))}
          </select>
        </label>
      )}
      {session.value?.name?.startsWith('user ') && !isKiosk.value && (
        <button type="button" title={session.value.name.slice('user '.length)} onClick={() => void logOut()}>
          {strings.login.out}
        </button>
      )}
    </header>
  );
}

function toggleKiosk() {
  const enters = !isKiosk.value;
  setParams({ kiosk: enters ? '1' : '' }, true);
  // Where the browser does not let it, the view fills the window.
  if (enters) void document.documentElement.requestFullscreen?.().catch(() => undefined);
  else if (document.fullscreenElement) void document.exitFullscreen();
}

/// How long nothing may be heard of before it is said, seconds. A quiet site is silent; the stream itself says when it breaks.
const QUIET_S = 120;

function Connection() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (!site.value) return null;
  const silence = heardAt.value ? (now - heardAt.value) / 1000 : 0;
  const state = status.value === 'live' && silence > QUIET_S ? 'stale' : status.value;
  const words =
    state === 'lost' ? strings.status.lost : state === 'stale' ? strings.status.stale(Math.round(silence)) : state === 'live' ? strings.status.live : strings.status.connecting;
  return (
    <span class={`connection ${state}`} role="status" title={strings.status.explained}>
      {words}
    </span>
  );
}
