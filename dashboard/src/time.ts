// Times as people of a site read them, and ranges of time as they name them. Instants are Unix milliseconds.

const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

type Parts = Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', number>;

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formatters.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...options });
    formatters.set(key, found);
  }
  return found;
}

/// Calendar and clock of an instant in a zone.
export function partsOf(at: number, zone: string): Parts {
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' } as const;
  const found: Partial<Parts> = {};
  for (const { type, value } of formatter(zone, numeric).formatToParts(at)) {
    if (type in { year: 1, month: 1, day: 1, hour: 1, minute: 1, second: 1 }) found[type as keyof Parts] = Number(value);
  }
  return found as Parts;
}

/// Milliseconds that a zone's clocks are ahead of UTC.
function offsetAt(at: number, zone: string): number {
  const p = partsOf(at, zone);
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(at / 1000) * 1000;
}

/// The instant at which a zone's clocks show a date and time. In the hour that a change skips, that much after it; in one
/// that comes twice, the first.
export function instantOf(zone: string, year: number, month: number, day: number, hour = 0, minute = 0): number {
  const wall = Date.UTC(year, month - 1, day, hour, minute);
  const first = wall - offsetAt(wall - offsetAt(wall, zone), zone);
  const earlier = wall - offsetAt(wall - DAY, zone);
  return wall - offsetAt(earlier, zone) === earlier ? Math.min(first, earlier) : first;
}

/// Midnight at which the day of an instant began; `days` later or earlier with more than 0 or less.
export function dayStart(at: number, zone: string, days = 0): number {
  const p = partsOf(at, zone);
  const moved = new Date(Date.UTC(p.year, p.month - 1, p.day + days));
  return instantOf(zone, moved.getUTCFullYear(), moved.getUTCMonth() + 1, moved.getUTCDate());
}

export interface Range {
  from: number;
  to: number;
}

/// What a name of a range means now; `custom` takes what is given.
export function rangeOf(name: string, zone: string, now: number, custom?: Range): Range {
  switch (name) {
    case '1h':
      return { from: now - HOUR, to: now };
    case '24h':
      return { from: now - DAY, to: now };
    case 'today':
      return { from: dayStart(now, zone), to: now };
    case 'yesterday':
      return { from: dayStart(now, zone, -1), to: dayStart(now, zone) };
    case '7d':
      return { from: dayStart(now, zone, -6), to: now };
    case '28d':
      return { from: dayStart(now, zone, -27), to: now };
    default:
      return custom ?? { from: now - DAY, to: now };
  }
}

/// As the API takes it.
export const rfc3339 = (at: number) => new Date(at).toISOString();

export function clock(at: number, zone: string, withSeconds = false): string {
  return formatter(zone, { hour: '2-digit', minute: '2-digit', ...(withSeconds && { second: '2-digit' }) }).format(at);
}

export function date(at: number, zone: string): string {
  return formatter(zone, { day: 'numeric', month: 'short', year: 'numeric' }).format(at);
}

export function dateAndTime(at: number, zone: string): string {
  return formatter(zone, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' }).format(at);
}

/// A length of time in words: 45 s, 12 min, 3 h 20 min, 2 d 4 h.
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  const [large, small, words] = s < 2 * 86_400 ? [3600, 60, ['h', 'min']] : [86_400, 3600, ['d', 'h']];
  const rounded = Math.round(s / small) * small;
  const rest = (rounded % large) / small;
  return `${Math.floor(rounded / large)} ${words[0]}${rest ? ` ${rest} ${words[1]}` : ''}`;
}
