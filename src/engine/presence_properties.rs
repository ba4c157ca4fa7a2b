//! The engine against a plain offline reading of the presence rules, and against itself: cut, doubled, restored.
//!
//! The oracle looks at one client and one zone at a time, over all its fixes at once, with the whole future in view.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::floorplan::Outline;
use crate::model::visit::{Ended, Exit};

const SITE: SiteKey = SiteKey(3);
const DAY: DedupeWindow = DedupeWindow(86_400_000);
const MAPS: [u32; 2] = [0, 1];

/// Zones as squares: map, area, from, to. Some overlap, one nests.
const SQUARES: [(u32, u32, f64, f64); 4] = [(0, 0, 0.0, 10.0), (0, 1, 2.0, 4.0), (0, 2, 8.0, 16.0), (1, 3, 0.0, 10.0)];

#[derive(Clone, Copy, Debug)]
struct Sighting {
    client: u32,
    map: u32,
    at_ms: i64,
    /// Both coordinates, metres.
    spot: f64,
}

#[derive(Clone, Copy, Debug)]
struct Timing {
    grace_ms: i64,
    timeout_ms: i64,
    /// Of area 1 alone.
    own_grace_ms: i64,
}

/// (client, area, entered) -> (exited, ended).
type Visits = BTreeMap<(u32, u32, i64), (i64, Ended)>;

fn is_inside(area: u32, sighting: &Sighting) -> bool {
    let (map, _, from, to) = SQUARES[area as usize];
    sighting.map == map && (from..=to).contains(&sighting.spot)
}

/// Rules 1 to 4, read off the page: split the client's fixes where it was silent too long, and in each run find the
/// stays of the zone.
fn offline(sightings: &[Sighting], timing: Timing) -> Visits {
    let mut visits = Visits::new();
    let mut by_client: BTreeMap<u32, Vec<&Sighting>> = BTreeMap::new();
    for sighting in sightings {
        by_client.entry(sighting.client).or_default().push(sighting);
    }
    for (client, fixes) in by_client {
        for area in 0..SQUARES.len() as u32 {
            let grace_ms = if area == 1 { timing.own_grace_ms } else { timing.grace_ms };
            let silent = |pair: &[&Sighting]| pair[1].at_ms - pair[0].at_ms > timing.timeout_ms;
            let mut run_start = 0;
            for run_end in 1..=fixes.len() {
                if run_end < fixes.len() && !silent(&fixes[run_end - 1..=run_end]) {
                    continue;
                }
                stays_of_run(&fixes[run_start..run_end], area, grace_ms, |entered_ms, exit| {
                    visits.insert((client, area, entered_ms), exit);
                });
                run_start = run_end;
            }
        }
    }
    visits
}

/// In a run without silence: a stay begins at a fix inside; it ends at the first fix outside that no fix inside
/// follows within the grace, else with the run.
fn stays_of_run(run: &[&Sighting], area: u32, grace_ms: i64, mut found: impl FnMut(i64, (i64, Ended))) {
    let inside: Vec<i64> = run.iter().filter(|fix| is_inside(area, fix)).map(|fix| fix.at_ms).collect();
    let first_outside_after =
        |at_ms: i64| run.iter().find(|fix| fix.at_ms > at_ms && !is_inside(area, fix)).map(|fix| fix.at_ms);
    let mut entered = inside.first().copied();
    for (place, &at_ms) in inside.iter().enumerate() {
        let next_inside = inside.get(place + 1).copied();
        let out = first_outside_after(at_ms).filter(|out| next_inside.is_none_or(|next| *out < next));
        let has_left = match (out, next_inside) {
            (Some(out), Some(next)) => next - out >= grace_ms,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if has_left {
            found(entered.expect("a stay is open at a fix inside"), (out.expect("it left"), Ended::Left));
            entered = next_inside;
        } else if next_inside.is_none() {
            found(entered.expect("a stay is open at a fix inside"), (at_ms, Ended::Timeout));
        }
    }
}

/// An engine, the visits it told of, and what a store would keep of its inputs.
struct Run {
    engine: Engine,
    visits: BTreeMap<VisitKey, (Visit, Option<Exit>)>,
    stored: Vec<(Sighting, bool)>,
    clock: Option<(EventTime, ReceivedAt)>,
    timing: Timing,
}

impl Run {
    fn new(timing: Timing) -> Run {
        let engine = configured(timing, VisitKey(1));
        Run { engine, visits: BTreeMap::new(), stored: Vec::new(), clock: None, timing }
    }

    fn fix(&mut self, sighting: Sighting, received_ms: i64) -> Verdict {
        let (at, received_at) = (EventTime(sighting.at_ms), ReceivedAt(received_ms));
        let position = Position::from_metres(sighting.spot, sighting.spot).unwrap();
        let (map, client) = (MapKey(sighting.map), ClientKey(sighting.client));
        let mut changes = Vec::new();
        let input = FixInput { site: SITE, map, client, at, received_at, position };
        let verdict = self.engine.apply_fix(&input, &mut changes);
        self.fold(&changes);
        if verdict != Verdict::Duplicate {
            self.stored.push((sighting, verdict == Verdict::Late));
        }
        if self.clock.is_none_or(|(newest, _)| at > newest) {
            self.clock = Some((at, received_at));
        }
        verdict
    }

    fn tick(&mut self, wall_ms: i64) {
        let mut changes = Vec::new();
        self.engine.tick(ReceivedAt(wall_ms), &mut changes);
        self.fold(&changes);
    }

    /// Checks on the way that a visit opens once, closes when open, reopens when closed.
    fn fold(&mut self, changes: &[VisitChange]) {
        for change in changes {
            match change {
                VisitChange::Opened(visit) => {
                    assert!(self.visits.insert(visit.key, (*visit, None)).is_none(), "opened twice: {visit:?}");
                }
                VisitChange::Closed(visit, exit) => {
                    let entry = self.visits.get_mut(&visit.key).expect("closed without being opened");
                    assert!(entry.1.replace(*exit).is_none(), "closed twice: {visit:?}");
                }
                VisitChange::Reopened(visit) => {
                    let entry = self.visits.get_mut(&visit.key).expect("reopened without being opened");
                    let exit = entry.1.take().expect("reopened while open");
                    assert!(exit.clock_after.is_some(), "only what the clock closed is reopened");
                }
            }
        }
        let mut open = std::collections::BTreeSet::new();
        for (visit, exit) in self.visits.values() {
            assert!(exit.is_some() || open.insert((visit.client, visit.area)), "in one area twice: {visit:?}");
        }
    }

    /// What a restart does: a new engine from what was stored.
    fn restart(&mut self) {
        let next = self.visits.keys().last().map_or(1, |key| key.0 + 1);
        let mut engine = configured(self.timing, VisitKey(next));
        if let Some((newest, received_at)) = self.clock {
            engine.restore_clock(SITE, newest, received_at);
        }
        let mut stored = self.stored.clone();
        stored.sort_by_key(|(sighting, _)| (sighting.client, sighting.at_ms));
        for (sighting, is_late) in &stored {
            engine.restore_fix(SITE, ClientKey(sighting.client), EventTime(sighting.at_ms), *is_late);
        }
        for (visit, exit) in self.visits.values() {
            let track = stored.iter().rev().filter(|(s, is_late)| s.client == visit.client.0 && !is_late);
            let newest = track.clone().next().map(|(s, _)| EventTime(s.at_ms));
            let is_closed = exit.is_some();
            if is_closed && (exit.unwrap().clock_after.is_none() || exit.unwrap().clock_after != newest) {
                continue;
            }
            let out = track.take_while(|(s, _)| !is_inside(visit.area.0, s)).last().map(|(s, _)| EventTime(s.at_ms));
            engine.restore_visit(*visit, out, is_closed);
        }
        self.engine = engine;
    }

    /// Runs the clock far on and tells the visits.
    fn finish(mut self) -> Visits {
        self.tick(1_000_000_000_000);
        let told = self.visits.values().map(|(visit, exit)| {
            let exit = exit.expect("nothing is open when the clock has run on");
            let stay = (visit.client.0, visit.area.0, visit.entered_at.0);
            (stay, (exit.exited_at.0, exit.ended))
        });
        told.collect()
    }
}

fn configured(timing: Timing, next: VisitKey) -> Engine {
    let mut engine = Engine::new(DAY, next);
    let Timing { grace_ms, timeout_ms, own_grace_ms } = timing;
    let rules = PresenceRules {
        exit_grace_ms: grace_ms,
        presence_timeout_ms: timeout_ms,
        reported_timeout_ms: PresenceRules::DEFAULT.reported_timeout_ms,
    };
    engine.set_site(SITE, rules);
    engine.set_area_rules(SITE, AreaKey(1), Some(PresenceRules { exit_grace_ms: own_grace_ms, ..rules }));
    for map in MAPS {
        let zones = SQUARES.iter().filter(|(on, ..)| *on == map).map(|(_, area, from, to)| {
            let ring = vec![[*from, *from], [*to, *from], [*to, *to], [*from, *to], [*from, *from]];
            Zone { area: AreaKey(*area), version: 1, outline: Outline::from_rings(vec![ring]).unwrap() }
        });
        engine.set_map(SITE, MapKey(map), Some(Plan { size_m: None, zones: zones.collect() }));
    }
    engine
}

/// Each client's fixes ascend; between clients anything goes, so the site's clock runs ahead of some.
fn sightings() -> impl Strategy<Value = Vec<Sighting>> {
    let step = prop_oneof![1i64..4, 8i64..13, Just(10), Just(30), Just(31), 25i64..40];
    let spot = prop_oneof![Just(3.0), Just(9.0), Just(1.0), Just(10.0), Just(20.0)];
    let one = (0u32..3, prop::sample::select(MAPS.to_vec()), step, spot);
    prop::collection::vec(one, 0..60).prop_map(|steps| {
        let mut now_s = [0i64; 3];
        let fixes = steps.into_iter().map(|(client, map, step_s, spot)| {
            now_s[client as usize] += step_s;
            Sighting { client, map, at_ms: now_s[client as usize] * 1000, spot }
        });
        fixes.collect()
    })
}

fn timing() -> impl Strategy<Value = Timing> {
    let grace = prop_oneof![Just(0i64), Just(10_000), Just(3_000), Just(50_000)];
    (grace.clone(), grace, prop_oneof![Just(30_000i64), Just(12_000)])
        .prop_map(|(grace_ms, own_grace_ms, timeout_ms)| Timing { grace_ms, timeout_ms, own_grace_ms })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn visits_are_what_an_offline_reading_of_the_rules_gives(
        sightings in sightings(),
        timing in timing(),
        ticks in prop::collection::vec((0usize..60, 0i64..200_000), 0..8),
        cuts in prop::collection::vec(0usize..60, 0..4),
        is_doubled in any::<bool>(),
    ) {
        let mut run = Run::new(timing);
        for (place, sighting) in sightings.iter().enumerate() {
            prop_assert_eq!(run.fix(*sighting, 0), Verdict::Applied);
            for (_, wall_ms) in ticks.iter().filter(|(at, _)| *at == place) {
                run.tick(*wall_ms);
            }
            if cuts.contains(&place) {
                run.restart();
            }
            if is_doubled {
                prop_assert_eq!(run.fix(*sighting, 0), Verdict::Duplicate);
            }
        }
        prop_assert_eq!(run.finish(), offline(&sightings, timing));
    }

    #[test]
    fn late_fixes_are_kept_and_move_nothing(
        sightings in sightings(),
        timing in timing(),
        late in prop::collection::vec((0u32..3, 1i64..1000, 0usize..60), 0..20),
    ) {
        let mut run = Run::new(timing);
        for (place, sighting) in sightings.iter().enumerate() {
            run.fix(*sighting, 0);
            for (client, back_ms, _) in late.iter().filter(|(_, _, at)| *at == place) {
                let newest = sightings[..=place].iter().rev().find(|s| s.client == *client);
                if let Some(newest) = newest {
                    // Off the whole second, so it is nobody's twin but perhaps another late one's.
                    let late = Sighting { at_ms: newest.at_ms - back_ms, spot: 3.0, ..*newest };
                    if late.at_ms % 1000 != 0 {
                        prop_assert_ne!(run.fix(late, 0), Verdict::Applied);
                    }
                }
            }
        }
        prop_assert_eq!(run.finish(), offline(&sightings, timing));
    }
}
