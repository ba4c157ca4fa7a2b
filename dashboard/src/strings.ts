// Every English text of the page, in one place. Functions where a value stands inside.

const count = (n: number) => n.toLocaleString('en');

export const strings = {
  title: 'Footfall',
  skip: 'Skip to content',
  nav: {
    label: 'Views',
    live: 'Live',
    history: 'History',
    zones: 'Zones',
    alerts: 'Alerts',
    sql: 'SQL',
    setup: 'Set-up',
    docs: 'API',
  },
  header: {
    site: 'Site',
    map: 'Floor',
    theme: 'Theme',
    themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
    kiosk: 'Full screen',
    leaveKiosk: 'Leave full screen',
    noMaps: 'No floor yet',
  },
  status: {
    connecting: 'Connecting',
    live: 'Live',
    stale: (seconds: number) => `Stale for ${count(seconds)} s`,
    lost: 'Connection lost: trying again',
    explained: 'Whether what is shown is what is happening now',
  },
  loading: 'Loading',
  retry: 'Try again',
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  remove: 'Delete',
  edit: 'Edit',
  add: 'Add',
  errors: {
    title: 'That did not work',
    unreachable: 'The server cannot be reached. Is it running?',
    status: (status: number) => `The server answered ${status}.`,
    unknown: 'Something unexpected happened on this page.',
    chart: 'The chart could not be drawn.',
  },
  kinds: { wifi: 'Connected', unconnected: 'Unconnected', sdk: 'App', asset: 'Asset' } as Record<string, string>,
  live: {
    title: 'Live',
    plan: 'Floorplan with zones and clients',
    here: 'here now',
    peopleHere: (n: number) => (n === 1 ? '1 client here' : `${count(n)} clients here`),
    zones: 'Zones',
    zone: 'Zone',
    clients: 'Clients',
    limit: 'Limit',
    share: 'Full',
    layers: 'Layers',
    layer: { zones: 'Zones', clients: 'Clients', trails: 'Trails', heat: 'Heat map, last hour' },
    shade: 'Shade zones by',
    shades: { clients: 'Clients', share: 'Share of limit' },
    legend: 'Clients by kind',
    sources: 'Who sent what',
    source: 'Webhook',
    deliveries: 'Deliveries',
    lastReceived: 'Last received',
    neverReceived: 'never',
    noZones: 'No zones on this floor yet. Draw them under Zones.',
    noMaps: 'No floor of this site has been uploaded yet. Import one under Set-up.',
    alerts: 'Firing now',
    noAlerts: 'Nothing is firing.',
    over: 'over its limit',
    planFailed: 'The plan could not be drawn.',
    webgl: 'This browser has no WebGL, so clients are not drawn. Counts are right all the same.',
    zoomIn: 'Zoom in',
    zoomOut: 'Zoom out',
    fit: 'Whole floor',
  },

  // History.
  history: {
    title: 'History',
  },

  // Zones: drawing, uploads, rebuilds.
  zones: {
    title: 'Zones',
  },

  // Alerts, rules, silences, endpoints.
  alerts: {
    title: 'Alerts',
  },

  // SQL.
  sql: {
    title: 'SQL',
  },

  // First run.
  setup: {
    title: 'Set-up',
  },

  time: {
    zone: (name: string) => `Times in ${name}`,
    from: 'From',
    to: 'To',
    range: 'Time',
    ranges: {
      '1h': 'Last hour',
      '24h': 'Last 24 hours',
      today: 'Today',
      yesterday: 'Yesterday',
      '7d': 'Last 7 days',
      '28d': 'Last 28 days',
      custom: 'From … to …',
    } as Record<string, string>,
    ago: (seconds: number) =>
      seconds < 90 ? `${Math.max(0, Math.round(seconds))} s ago` : seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`,
  },
  notFound: 'There is no such view.',
};
