//! The engine against an offline reading of the presence rules, and against itself: doubled, disordered, cut.
//!
//! The offline reading keeps no state: it takes all events of a client at once and cuts them, first where the client
//! was silent, then where it crossed the zone's edge. Clients are interleaved in any order that keeps each client's
//! own, so the site clock runs ahead of most of them, and ticks come by a wall clock that jumps about.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::floorplan::Outline;
use crate::model::visit::{Ended, Exit, Source};

const SITE: SiteKey = SiteKey(3);
const DAY: DedupeWindow = DedupeWindow(86_400_000);
const CLIENTS: u32 = 4;
/// Areas without a zone, and one that may have one.
const REPORTED: [u32; 3] = [0, 100, 101];

/// As many cases as the environment asks for, else `modest`.
pub(super) fn cases(modest: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: modest, ..config } }
}

#[derive(Clone, Debug)]
struct Town {
    /// Squares from (from, from) to (to, to) as (map, from, to), metres; an area's key is its place.
    zones: Vec<(u32, i32, i32)>,
    rules: PresenceRules,
    own_rules: BTreeMap<u32, PresenceRules>,
}

impl Town {
    fn rules_of(&self, area: u32) -> PresenceRules {
        self.own_rules.get(&area).copied().unwrap_or(self.rules)
    }

    fn is_inside(&self, area: u32, on: u32, spot: i32) -> bool {
        let (map, from, to) = self.zones[area as usize];
        map == on && (from..=to).contains(&spot)
    }

    fn engine(&self, next_visit: i64) -> Engine {
        let mut engine = Engine::new(DAY, VisitKey(next_visit));
        engine.set_site(SITE, self.rules);
        for (area, rules) in &self.own_rules {
            engine.set_area_rules(SITE, AreaKey(*area), Some(*rules));
        }
        for map in [0, 1] {
            let zones = (0..).zip(&self.zones).filter(|(_, (on, ..))| *on == map).map(|(area, (_, from, to))| {
                let (a, b) = (f64::from(*from), f64::from(*to));
                let ring = vec![[a, a], [b, a], [b, b], [a, b], [a, a]];
                Zone { area: AreaKey(area), version: 1, outline: Outline::from_rings(vec![ring]).unwrap() }
            });
            engine.set_map(SITE, MapKey(map), Some(Plan { size_m: None, zones: zones.collect() }));
        }
        engine
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Both coordinates are `spot`, metres.
    Fix {
        map: u32,
        spot: i32,
    },
    Cross {
        area: u32,
        trigger: Trigger,
    },
}

#[derive(Clone, Copy, Debug)]
struct Event {
    client: u32,
    at_ms: i64,
    what: What,
}

/// What happens, and when by the wall clock.
#[derive(Clone, Copy, Debug)]
enum Step {
    Event(Event, i64),
    Other { print: u64, at_ms: i64, wall_ms: i64 },
    Tick { wall_ms: i64 },
}

/// (client, area, source, entered) -> (exited, ended), or `None` while open.
type Visits = BTreeMap<(u32, u32, Source, i64), Option<(i64, Ended)>>;

/// The visits that `events` make, in order for each client, when the site clock stands at `clock_ms`.
fn offline(town: &Town, events: &[Event], clock_ms: i64) -> Visits {
    let mut visits = Visits::new();
    for client in 0..CLIENTS {
        let own: Vec<&Event> = events.iter().filter(|event| event.client == client).collect();
        for area in 0..town.zones.len() as u32 {
            let fixes = own.iter().filter_map(|event| match event.what {
                What::Fix { map, spot } => Some((event.at_ms, town.is_inside(area, map, spot))),
                What::Cross { .. } => None,
            });
            let found = computed(&fixes.collect::<Vec<_>>(), town.rules_of(area), clock_ms);
            visits.extend(found.into_iter().map(|(at_ms, exit)| ((client, area, Source::Computed, at_ms), exit)));
        }
        for area in REPORTED {
            let signs = own.iter().map(|event| match event.what {
                What::Cross { area: of, trigger } if of == area => (event.at_ms, Some(trigger)),
                _ => (event.at_ms, None),
            });
            let found = reported(&signs.collect::<Vec<_>>(), town.rules_of(area).reported_timeout_ms, clock_ms);
            visits.extend(found.into_iter().map(|(at_ms, exit)| ((client, area, Source::Reported, at_ms), exit)));
        }
    }
    visits
}

type Stay = (i64, Option<(i64, Ended)>);

/// Rules 1 to 4, for fixes as (at, is inside): cut where silent; call inside what was outside for less than the grace;
/// then each stretch inside is a visit, to the fix where the stretch outside begins, or to the last fix before silence.
fn computed(fixes: &[(i64, bool)], rules: PresenceRules, clock_ms: i64) -> Vec<Stay> {
    let mut stays = Vec::new();
    for spell in fixes.chunk_by(|a, b| b.0 - a.0 <= rules.presence_timeout_ms) {
        let stretches: Vec<(i64, bool)> = spell.chunk_by(|a, b| a.1 == b.1).map(|stretch| stretch[0]).collect();
        let smooth = |(place, &(at_ms, is_inside)): (usize, &(i64, bool))| {
            let is_back_soon = stretches.get(place + 1).is_some_and(|back| back.0 - at_ms < rules.exit_grace_ms);
            (at_ms, is_inside || place > 0 && is_back_soon)
        };
        let smoothed: Vec<(i64, bool)> = stretches.iter().enumerate().map(smooth).collect();
        let parts: Vec<(i64, bool)> = smoothed.chunk_by(|a, b| a.1 == b.1).map(|part| part[0]).collect();
        let (heard_ms, is_last) = (spell[spell.len() - 1].0, spell.last() == fixes.last());
        for (place, &(entered_ms, _)) in parts.iter().enumerate().filter(|(_, part)| part.1) {
            let out_ms = parts.get(place + 1).map(|part| part.0);
            let is_gone = clock_ms - heard_ms > rules.presence_timeout_ms
                || out_ms.is_some_and(|out_ms| clock_ms - out_ms >= rules.exit_grace_ms);
            let exit = out_ms.map_or((heard_ms, Ended::Timeout), |out_ms| (out_ms, Ended::Left));
            stays.push((entered_ms, (is_gone || !is_last).then_some(exit)));
        }
    }
    stays
}

/// The reported rules, for all signs of a client with what they say of the area: cut where silent, then after each exit;
/// what is left from its first enter on is a visit.
fn reported(signs: &[(i64, Option<Trigger>)], timeout_ms: i64, clock_ms: i64) -> Vec<Stay> {
    let mut stays = Vec::new();
    for spell in signs.chunk_by(|a, b| b.0 - a.0 <= timeout_ms) {
        let heard_ms = spell[spell.len() - 1].0;
        let is_over = Some(&heard_ms) != signs.last().map(|(at_ms, _)| at_ms) || clock_ms - heard_ms > timeout_ms;
        for part in spell.split_inclusive(|sign| sign.1 == Some(Trigger::Exit)) {
            let Some(enter) = part.iter().find(|sign| sign.1 == Some(Trigger::Enter)) else { continue };
            let exit = match part[part.len() - 1] {
                (at_ms, Some(Trigger::Exit)) => Some((at_ms, Ended::Left)),
                _ => is_over.then_some((heard_ms, Ended::Timeout)),
            };
            stays.push((enter.0, exit));
        }
    }
    stays
}

/// An engine, and beside it what a store would keep.
struct Run<'a> {
    town: &'a Town,
    engine: Engine,
    stored: Vec<(Event, Verdict)>,
    others: Vec<(Fingerprint, EventTime)>,
    visits: BTreeMap<VisitKey, (Visit, Option<Exit>)>,
    /// Opened - closed + reopened.
    occupancy: BTreeMap<(AreaKey, Source), i64>,
    /// The site's newest event time and when it came.
    newest: Option<(i64, i64)>,
    reached_ms: i64,
    /// All changes so far.
    log: Vec<VisitChange>,
}

impl<'a> Run<'a> {
    fn new(town: &'a Town) -> Run<'a> {
        Run {
            town,
            engine: town.engine(1),
            stored: Vec::new(),
            others: Vec::new(),
            visits: BTreeMap::new(),
            occupancy: BTreeMap::new(),
            newest: None,
            reached_ms: i64::MIN,
            log: Vec::new(),
        }
    }

    /// Takes a step; what an event came to, if it is one.
    fn take(&mut self, step: Step) -> Option<Verdict> {
        let mut changes = Vec::new();
        let verdict = match step {
            Step::Event(event, wall_ms) => Some(self.event(event, ReceivedAt(wall_ms), &mut changes)),
            Step::Other { print, at_ms, wall_ms } => {
                let (print, at, received_at) = (Fingerprint(print), EventTime(at_ms), ReceivedAt(wall_ms));
                let verdict = self.engine.apply_other(SITE, print, at, false, received_at, &mut changes);
                if verdict != Verdict::Duplicate {
                    self.others.push((print, at));
                    self.observe(at_ms, wall_ms);
                }
                Some(verdict)
            }
            Step::Tick { wall_ms } => {
                self.engine.tick(ReceivedAt(wall_ms), &mut changes);
                if let Some((newest_ms, received_ms)) = self.newest {
                    self.reached_ms = self.reached_ms.max(newest_ms + (wall_ms - received_ms).max(0));
                }
                None
            }
        };
        changes.iter().for_each(|change| self.fold(change));
        self.log.extend(changes);
        verdict
    }

    fn event(&mut self, event: Event, received_at: ReceivedAt, changes: &mut Vec<VisitChange>) -> Verdict {
        let (at, client) = (EventTime(event.at_ms), ClientKey(event.client));
        let verdict = match event.what {
            What::Fix { map, spot } => {
                let position = Position { x_mm: spot * 1000, y_mm: spot * 1000 };
                let input = FixInput { site: SITE, map: MapKey(map), client, at, received_at, position };
                self.engine.apply_fix(&input, changes)
            }
            What::Cross { area, trigger } => {
                let (area, map, area_version) = (AreaKey(area), None, 0);
                let site = SITE;
                let input = TransitionInput { site, map, area, area_version, client, trigger, at, received_at };
                self.engine.apply_transition(&input, changes)
            }
        };
        if verdict != Verdict::Duplicate {
            self.stored.push((event, verdict));
            self.observe(event.at_ms, received_at.0);
        }
        verdict
    }

    fn observe(&mut self, at_ms: i64, wall_ms: i64) {
        if self.newest.is_none_or(|(newest_ms, _)| at_ms > newest_ms) {
            self.newest = Some((at_ms, wall_ms));
        }
        self.reached_ms = self.reached_ms.max(at_ms);
    }

    /// Opens what is new, closes what is open, reopens what the clock closed, and keeps at most one open visit of a
    /// client, area and source.
    fn fold(&mut self, change: &VisitChange) {
        let (visit, step) = match change {
            VisitChange::Opened(visit) => {
                assert!(self.visits.insert(visit.key, (*visit, None)).is_none(), "opened twice: {visit:?}");
                (visit, 1)
            }
            VisitChange::Closed(visit, exit) => {
                let kept = self.visits.get_mut(&visit.key).expect("closed without being opened");
                assert!(kept.0 == *visit && kept.1.replace(*exit).is_none(), "closed twice: {visit:?}");
                assert!(exit.exited_at >= visit.entered_at, "left before it came: {visit:?} {exit:?}");
                (visit, -1)
            }
            VisitChange::Reopened(visit) => {
                let exit = self.visits.get_mut(&visit.key).and_then(|kept| kept.1.take());
                assert!(exit.is_some_and(|exit| exit.clock_after.is_some()), "reopened what the clock had not closed");
                (visit, 1)
            }
        };
        *self.occupancy.entry((visit.area, visit.source)).or_default() += step;
        let open = |other: &Visit| (other.client, other.area, other.source) == (visit.client, visit.area, visit.source);
        let open = self.visits.values().filter(|(other, exit)| exit.is_none() && open(other)).count();
        assert!(open <= 1, "in one area twice: {visit:?}");
    }

    fn told(&self) -> Visits {
        let told = self.visits.values().map(|(visit, exit)| {
            let key = (visit.client.0, visit.area.0, visit.source, visit.entered_at.0);
            (key, exit.map(|exit| (exit.exited_at.0, exit.ended)))
        });
        told.collect()
    }

    /// The number of open visits of each area that has any.
    fn open(&self) -> BTreeMap<(AreaKey, Source), i64> {
        let mut open = BTreeMap::new();
        for (visit, _) in self.visits.values().filter(|(_, exit)| exit.is_none()) {
            *open.entry((visit.area, visit.source)).or_default() += 1;
        }
        open
    }

    /// A new engine from what was stored.
    fn restart(&mut self) {
        let next = self.visits.last_key_value().map_or(1, |(key, _)| key.0 + 1);
        let mut engine = self.town.engine(next);
        if let Some((newest_ms, received_ms)) = self.newest {
            engine.restore_clock(SITE, EventTime(newest_ms), ReceivedAt(received_ms));
            self.reached_ms = newest_ms;
        }
        let mut rows = self.stored.clone();
        rows.sort_by_key(|(event, _)| (event.client, event.at_ms));
        for (event, verdict) in &rows {
            let (client, at, is_late) = (ClientKey(event.client), EventTime(event.at_ms), *verdict == Verdict::Late);
            match event.what {
                What::Fix { .. } => engine.restore_fix(SITE, client, at, is_late),
                What::Cross { area, trigger } => {
                    engine.restore_transition(SITE, client, AreaKey(area), trigger, at, is_late);
                }
            }
        }
        for (print, at) in &self.others {
            engine.restore_other(SITE, *print, *at, false);
        }
        for (visit, exit) in self.visits.values() {
            let own = || rows.iter().rev().filter(|(event, _)| event.client == visit.client.0);
            let track = || {
                own().filter(|(_, verdict)| *verdict != Verdict::Late).filter_map(|(event, _)| match event.what {
                    What::Fix { map, spot } => Some((EventTime(event.at_ms), map, spot)),
                    What::Cross { .. } => None,
                })
            };
            let is_computed = visit.source == Source::Computed;
            let newest = if is_computed { track().next().unwrap().0 } else { EventTime(own().next().unwrap().0.at_ms) };
            if exit.is_none_or(|exit| exit.clock_after == Some(newest)) {
                let outside =
                    track().take_while(|(_, map, spot)| is_computed && !self.town.is_inside(visit.area.0, *map, *spot));
                engine.restore_visit(*visit, outside.last().map(|(at, ..)| at), exit.is_some());
            }
        }
        self.engine = engine;
    }
}

#[derive(Clone, Copy, Debug)]
enum Draft {
    Event(What),
    Other,
    Tick,
}

fn draft() -> impl Strategy<Value = Draft> {
    let fix = (0u32..2, 0i32..20).prop_map(|(map, spot)| What::Fix { map, spot });
    let trigger = prop::sample::select(vec![Trigger::Enter, Trigger::Exit]);
    let cross =
        (prop::sample::select(REPORTED.to_vec()), trigger).prop_map(|(area, trigger)| What::Cross { area, trigger });
    prop_oneof![
        6 => fix.prop_map(Draft::Event),
        3 => cross.prop_map(Draft::Event),
        1 => Just(Draft::Other),
        1 => Just(Draft::Tick),
    ]
}

/// Steps around the thresholds of [`rules`], some a millisecond beside them. Each client's events ascend, and no two
/// are duplicates.
fn script() -> impl Strategy<Value = Vec<Step>> {
    let gap_ms =
        prop::sample::select(vec![0, 1_000, 2_000, 3_000, 7_000, 9_000, 10_000, 12_000, 20_000, 30_000, 45_000]);
    let beside_ms = prop_oneof![6 => Just(0i64), 1 => Just(-1), 1 => Just(1)];
    let gap_ms = (gap_ms, beside_ms).prop_map(|(gap_ms, beside_ms): (i64, i64)| (gap_ms + beside_ms).max(0));
    prop::collection::vec((0..CLIENTS, draft(), gap_ms, 0i64..400_000), 0..70).prop_map(|drafts| {
        let mut now_ms = [0; CLIENTS as usize];
        let mut seen = BTreeSet::new();
        let step = |(print, (client, draft, gap_ms, wall_ms))| {
            let now_ms: &mut i64 = &mut now_ms[client as usize];
            match draft {
                Draft::Event(what) => {
                    *now_ms += gap_ms;
                    let area = match what {
                        What::Fix { .. } => None,
                        What::Cross { area, trigger } => Some((area, trigger)),
                    };
                    while !seen.insert((client, area, *now_ms)) {
                        *now_ms += 1;
                    }
                    Step::Event(Event { client, at_ms: *now_ms, what }, wall_ms)
                }
                Draft::Other => Step::Other { print, at_ms: *now_ms + gap_ms, wall_ms },
                Draft::Tick => Step::Tick { wall_ms },
            }
        };
        (0u64..).zip(drafts).map(step).collect()
    })
}

fn rules() -> impl Strategy<Value = PresenceRules> {
    let of = |choices: &[i64]| prop::sample::select(choices.to_vec());
    (of(&[0, 3_000, 10_000, 50_000]), of(&[12_000, 30_000]), of(&[20_000, 45_000])).prop_map(
        |(exit_grace_ms, presence_timeout_ms, reported_timeout_ms)| PresenceRules {
            exit_grace_ms,
            presence_timeout_ms,
            reported_timeout_ms,
        },
    )
}

fn town() -> impl Strategy<Value = Town> {
    let zone = (0u32..2, 0i32..12, 1i32..12).prop_map(|(map, from, size)| (map, from, from + size));
    let own_rules = prop::collection::btree_map(prop_oneof![0u32..4, Just(100)], rules(), 0..4);
    (prop::collection::vec(zone, 1..5), rules(), own_rules).prop_map(|(zones, rules, own_rules)| Town {
        zones,
        rules,
        own_rules,
    })
}

/// Puts some steps off behind later ones.
fn disorder(script: &[Step], delays: &[usize]) -> Vec<Step> {
    let mut order: Vec<(usize, Step)> = script.iter().copied().enumerate().collect();
    order.sort_by_key(|(place, _)| place + delays[*place]);
    order.into_iter().map(|(_, step)| step).collect()
}

fn delays() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![3 => Just(0usize), 1 => 0usize..15], 70)
}

/// Leaves out events that come after younger ones of their client but are not late: the rules do not speak of them.
/// Tells of each step that stays whether it is late.
fn mark_late(steps: &[Step]) -> Vec<(Step, bool)> {
    let mut newest = BTreeMap::new();
    let mark = |step: &Step| {
        let Step::Event(Event { client, at_ms, what }, _) = *step else { return Some((*step, false)) };
        let of = match what {
            What::Fix { .. } => 0,
            What::Cross { area, .. } => 1 + area,
        };
        let is_late = newest.get(&(client, of)).is_some_and(|newest| at_ms < *newest);
        let is_old = newest.range((client, 0)..(client + 1, 0)).any(|(_, newest)| at_ms < *newest);
        if !is_old {
            newest.insert((client, of), at_ms);
        }
        (is_late || !is_old).then_some((*step, is_late))
    };
    steps.iter().filter_map(mark).collect()
}

/// So late that all is closed.
const END: Step = Step::Tick { wall_ms: 1_000_000_000_000 };

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn visits_are_at_every_step_what_an_offline_reading_of_the_rules_gives(town in town(), script in script()) {
        let mut run = Run::new(&town);
        let mut events = Vec::new();
        for step in script.into_iter().chain([END]) {
            let verdict = run.take(step);
            if let Step::Event(event, _) = step {
                prop_assert!(matches!(verdict, Some(Verdict::Applied | Verdict::Unmatched)), "{:?}", verdict);
                events.push(event);
            }
            prop_assert_eq!(run.told(), offline(&town, &events, run.reached_ms));
            let clock = run.engine.clocks().next().map_or(i64::MIN, |(_, at)| at.0);
            prop_assert_eq!(clock, run.reached_ms);
            prop_assert!(run.occupancy.values().all(|count| *count >= 0));
            run.occupancy.retain(|_, count| *count > 0);
            prop_assert_eq!(run.open(), run.occupancy.clone());
        }
        prop_assert!(run.newest.is_none() || run.open().is_empty());
    }

    #[test]
    fn an_event_that_comes_again_changes_nothing(
        town in town(),
        script in script(),
        again in prop::collection::vec((0usize..70, 0usize..70, 0i64..400_000), 0..40),
    ) {
        let (mut once, mut twice) = (Run::new(&town), Run::new(&town));
        for (place, step) in script.iter().enumerate() {
            prop_assert_eq!(once.take(*step), twice.take(*step));
            let repeated = again.iter().filter(|(after, which, _)| *after == place && *which <= place);
            for (_, which, wall_ms) in repeated {
                let verdict = match script[*which] {
                    Step::Event(event, _) => twice.take(Step::Event(event, *wall_ms)),
                    Step::Other { print, at_ms, .. } => twice.take(Step::Other { print, at_ms, wall_ms: *wall_ms }),
                    Step::Tick { .. } => continue,
                };
                prop_assert_eq!(verdict, Some(Verdict::Duplicate));
            }
        }
        prop_assert_eq!((once.take(END), once.log), (twice.take(END), twice.log));
    }

    #[test]
    fn late_events_are_told_and_change_nothing(town in town(), script in script(), delays in delays()) {
        let (mut with, mut without) = (Run::new(&town), Run::new(&town));
        for (step, is_late) in mark_late(&disorder(&script, &delays)) {
            let verdict = with.take(step);
            prop_assert_eq!(verdict == Some(Verdict::Late), is_late);
            if !is_late {
                prop_assert_eq!(without.take(step), verdict);
            }
            prop_assert_eq!(&with.log, &without.log);
        }
        prop_assert_eq!((with.take(END), with.log), (without.take(END), without.log));
    }

    #[test]
    fn a_restart_makes_no_difference(
        town in town(),
        script in script(),
        delays in delays(),
        again in prop::collection::vec(0usize..70, 0..10),
        cuts in prop::collection::vec(0usize..70, 1..4),
    ) {
        let (mut whole, mut cut) = (Run::new(&town), Run::new(&town));
        let steps = disorder(&script, &delays);
        let again = again.into_iter().filter_map(|place| steps.get(place)).copied();
        for (place, step) in steps.iter().copied().chain(again).enumerate() {
            prop_assert_eq!(whole.take(step), cut.take(step), "step {} {:?}", place, step);
            if cuts.contains(&place) {
                cut.restart();
            }
        }
        prop_assert_eq!(whole.take(END), cut.take(END));
        let ends = |run: Run<'_>| {
            let ends = run.visits.into_values();
            ends.map(|(visit, exit)| (visit, exit.map(|exit| (exit.exited_at, exit.ended)))).collect::<Vec<_>>()
        };
        prop_assert_eq!(ends(whole), ends(cut));
    }
}
