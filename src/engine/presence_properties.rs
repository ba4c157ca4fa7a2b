//! The engine against an offline reading of the presence rules, and against itself: doubled, disordered, cut.
//!
//! The offline reading keeps no state: it takes all events of a client at once and cuts them, first where the client
//! was silent, then where it crossed the zone's edge. Clients are interleaved in any order that keeps each client's
//! own, so the site clock runs ahead of most of them, and ticks come by a wall clock that jumps about.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::zone_index_properties::cases;
use super::*;
use crate::model::floorplan::Outline;
use crate::model::visit::{Ended, Exit, Source};

const SITE: SiteKey = SiteKey(3);
const CLIENTS: u32 = 4;
/// The areas of which enters and exits are reported: one that has a zone too, and two that have none.
const REPORTED: [u32; 3] = [0, 100, 101];

#[derive(Clone, Debug)]
struct Town {
    /// Squares as (map, from, to), metres in both directions; an area's key is its place.
    zones: Vec<(u32, i32, i32)>,
    rules: PresenceRules,
    own_rules: BTreeMap<u32, PresenceRules>,
}

impl Town {
    fn rules_of(&self, area: u32) -> PresenceRules {
        self.own_rules.get(&area).copied().unwrap_or(self.rules)
    }

    fn is_inside(&self, area: u32, on: u32, spot_m: i32) -> bool {
        let (map, from, to) = self.zones[area as usize];
        map == on && (from..=to).contains(&spot_m)
    }

    fn engine(&self, next_visit: i64) -> Engine {
        let mut engine = Engine::new(DedupeWindow(86_400_000), VisitKey(next_visit));
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

#[derive(Clone, Copy, Debug)]
enum What {
    /// The map, and both coordinates in metres.
    Fix(u32, i32),
    Cross(u32, Trigger),
    /// An event that moves nobody, and what it is known by.
    Other(u64),
    Tick,
}

/// What happens; a tick is of nobody and at no time but the wall clock's.
#[derive(Clone, Copy, Debug)]
struct Step {
    client: u32,
    at_ms: i64,
    wall_ms: i64,
    what: What,
}

/// (client, area, source, entered) -> (exited, ended), or `None` while open.
type Visits = BTreeMap<(u32, u32, Source, i64), Option<(i64, Ended)>>;

/// The visits that `steps` make, in order for each client, when the site clock stands at `clock_ms`.
fn offline(town: &Town, steps: &[Step], clock_ms: i64) -> Visits {
    let mut visits = Visits::new();
    for client in 0..CLIENTS {
        let own = steps.iter().filter(|step| step.client == client);
        for area in 0..town.zones.len() as u32 {
            let fixes = own.clone().filter_map(|step| match step.what {
                What::Fix(map, spot_m) => Some((step.at_ms, town.is_inside(area, map, spot_m))),
                _ => None,
            });
            let stays = computed(&fixes.collect::<Vec<_>>(), town.rules_of(area), clock_ms);
            visits.extend(stays.into_iter().map(|(at_ms, exit)| ((client, area, Source::Computed, at_ms), exit)));
        }
        for area in REPORTED {
            let signs = own.clone().filter_map(|step| match step.what {
                What::Fix(..) => Some((step.at_ms, None)),
                What::Cross(of, trigger) => Some((step.at_ms, (of == area).then_some(trigger))),
                _ => None,
            });
            let stays = reported(&signs.collect::<Vec<_>>(), town.rules_of(area).reported_timeout_ms, clock_ms);
            visits.extend(stays.into_iter().map(|(at_ms, exit)| ((client, area, Source::Reported, at_ms), exit)));
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

/// The reported rules, for all signs of a client with what they say of the area: cut where silent, then after each
/// exit; what is left from its first enter on is a visit.
fn reported(signs: &[(i64, Option<Trigger>)], timeout_ms: i64, clock_ms: i64) -> Vec<Stay> {
    let mut stays = Vec::new();
    for spell in signs.chunk_by(|a, b| b.0 - a.0 <= timeout_ms) {
        let heard_ms = spell[spell.len() - 1].0;
        let is_over = signs[signs.len() - 1].0 != heard_ms || clock_ms - heard_ms > timeout_ms;
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
struct Run {
    town: Town,
    engine: Engine,
    stored: Vec<(Step, Verdict)>,
    visits: BTreeMap<VisitKey, (Visit, Option<Exit>)>,
    /// How the clock had closed what goes on.
    taken_back: BTreeMap<VisitKey, Exit>,
    /// Opened - closed + reopened: occupancy, client by client.
    tally: BTreeMap<(ClientKey, AreaKey, Source), i64>,
    /// The site's newest event time and when it came.
    newest: Option<(i64, i64)>,
    reached_ms: i64,
    /// All changes so far.
    log: Vec<VisitChange>,
}

impl Run {
    fn new(town: &Town) -> Run {
        Run {
            town: town.clone(),
            engine: town.engine(1),
            stored: Vec::new(),
            visits: BTreeMap::new(),
            taken_back: BTreeMap::new(),
            tally: BTreeMap::new(),
            newest: None,
            reached_ms: i64::MIN,
            log: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) -> Verdict {
        let (site, client) = (SITE, ClientKey(step.client));
        let (at, received_at) = (EventTime(step.at_ms), ReceivedAt(step.wall_ms));
        let mut changes = Vec::new();
        let verdict = match step.what {
            What::Fix(map, spot_m) => {
                let (map, position) = (MapKey(map), Position { x_mm: spot_m * 1000, y_mm: spot_m * 1000 });
                self.engine.apply_fix(&FixInput { site, map, client, at, received_at, position }, &mut changes)
            }
            What::Cross(area, trigger) => {
                let (map, area, area_version) = (None, AreaKey(area), 0);
                let input = TransitionInput { site, map, area, area_version, client, trigger, at, received_at };
                self.engine.apply_transition(&input, &mut changes)
            }
            What::Other(print) => {
                self.engine.apply_other(site, Fingerprint(print), at, false, received_at, &mut changes)
            }
            What::Tick => {
                self.engine.tick(received_at, &mut changes);
                if let Some((newest_ms, came_ms)) = self.newest {
                    self.reached_ms = self.reached_ms.max(newest_ms + (step.wall_ms - came_ms).max(0));
                }
                Verdict::Applied
            }
        };
        if verdict != Verdict::Duplicate && !matches!(step.what, What::Tick) {
            self.stored.push((step, verdict));
            if self.newest.is_none_or(|(newest_ms, _)| step.at_ms > newest_ms) {
                self.newest = Some((step.at_ms, step.wall_ms));
                self.reached_ms = self.reached_ms.max(step.at_ms);
            }
        }
        changes.iter().for_each(|change| self.fold(change));
        self.log.extend(changes);
        verdict
    }

    /// Opens what is new, closes what is open, reopens what the clock closed.
    fn fold(&mut self, change: &VisitChange) {
        let (visit, step) = match change {
            VisitChange::Opened(visit) => {
                assert!(self.visits.insert(visit.key, (*visit, None)).is_none(), "opened twice: {visit:?}");
                (visit, 1)
            }
            VisitChange::Closed(visit, exit) => {
                let kept = self.visits.get_mut(&visit.key).expect("closed without being opened");
                // What has been stored of it once may stay, as it does in the file.
                let stored = self.taken_back.remove(&visit.key).filter(|stored| stored.stands_for(exit));
                let is_open = kept.1.replace(stored.unwrap_or(*exit)).is_none();
                assert!(kept.0 == *visit && is_open, "closed twice: {visit:?}");
                assert!(exit.exited_at >= visit.entered_at, "left before it came: {visit:?} {exit:?}");
                (visit, -1)
            }
            VisitChange::Reopened(visit, closed) => {
                let exit = self.visits.get_mut(&visit.key).and_then(|kept| kept.1.take());
                assert!(exit.is_some_and(|exit| exit.clock_after.is_some()), "not closed by the clock: {visit:?}");
                assert_eq!(exit, Some(*closed), "closed otherwise: {visit:?}");
                self.taken_back.insert(visit.key, *closed);
                (visit, 1)
            }
        };
        let open = self.tally.entry((visit.client, visit.area, visit.source)).or_default();
        *open += step;
        assert!((0..=1).contains(open), "in one area {open} times: {visit:?}");
    }

    fn told(&self) -> Visits {
        let told = self.visits.values().map(|(visit, exit)| {
            let key = (visit.client.0, visit.area.0, visit.source, visit.entered_at.0);
            (key, exit.map(|exit| (exit.exited_at.0, exit.ended)))
        });
        told.collect()
    }

    fn clock_ms(&self) -> i64 {
        self.engine.clocks().next().map_or(i64::MIN, |(_, at)| at.0)
    }

    /// A new engine from what was stored.
    fn restart(&mut self) {
        let mut engine = self.town.engine(self.visits.last_key_value().map_or(1, |(key, _)| key.0 + 1));
        if let Some((newest_ms, came_ms)) = self.newest {
            engine.restore_clock(SITE, EventTime(newest_ms), ReceivedAt(came_ms));
        }
        let mut rows = self.stored.clone();
        rows.sort_by_key(|(step, _)| (step.client, step.at_ms));
        let (fixes, rest): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(step, _)| matches!(step.what, What::Fix(..)));
        // Fixes ascend; of the rest the order must not matter.
        for (step, verdict) in fixes.iter().chain(rest.iter().rev()) {
            let (client, at, is_late) = (ClientKey(step.client), EventTime(step.at_ms), *verdict == Verdict::Late);
            match step.what {
                What::Fix(..) => engine.restore_fix(SITE, client, at, is_late),
                What::Cross(area, trigger) => {
                    engine.restore_transition(SITE, client, AreaKey(area), trigger, at, is_late);
                }
                What::Other(print) => engine.restore_other(SITE, Fingerprint(print), at, false),
                What::Tick => {}
            }
        }
        for (visit, exit) in self.visits.values() {
            let own = |step: &Step| step.client == visit.client.0;
            let track = fixes.iter().rev().filter(|(step, verdict)| own(step) && *verdict != Verdict::Late);
            let is_outside = |step: &Step| match step.what {
                What::Fix(map, spot_m) => !self.town.is_inside(visit.area.0, map, spot_m),
                _ => false,
            };
            let (newest, outside_since) = match visit.source {
                Source::Computed => {
                    let at = |(step, _): &(Step, Verdict)| EventTime(step.at_ms);
                    let outside = track.clone().take_while(|(step, _)| is_outside(step));
                    (track.clone().next().map(at), outside.last().map(at))
                }
                Source::Reported => (engine.newest_sign(SITE, visit.client), None),
            };
            if exit.is_none_or(|exit| exit.clock_after == newest) {
                engine.restore_stay(presence::Stay { visit: *visit, outside_since, closed: *exit });
            }
        }
        self.engine = engine;
    }
}

/// Steps around the thresholds of [`rules`], some a millisecond beside them. Each client's events ascend, and no two
/// are duplicates.
fn script() -> impl Strategy<Value = Vec<Step>> {
    let fix = (0u32..2, 0i32..20).prop_map(|(map, spot_m)| What::Fix(map, spot_m));
    let cross = (select(REPORTED.to_vec()), select(vec![Trigger::Enter, Trigger::Exit]));
    let cross = cross.prop_map(|(area, trigger)| What::Cross(area, trigger));
    let what = prop_oneof![6 => fix, 3 => cross, 1 => Just(What::Other(0)), 1 => Just(What::Tick)];
    let gap_ms = select(vec![0i64, 1_000, 2_000, 3_000, 7_000, 9_000, 10_000, 12_000, 20_000, 30_000, 45_000]);
    let beside_ms = prop_oneof![6 => Just(0i64), 1 => Just(-1), 1 => Just(1)];
    prop::collection::vec((0..CLIENTS, what, gap_ms, beside_ms, 0i64..400_000), 0..70).prop_map(|drafts| {
        let mut now_ms = [0; CLIENTS as usize];
        let mut seen = BTreeSet::new();
        let step = |(place, (client, what, gap_ms, beside_ms, wall_ms))| {
            let then_ms = now_ms[client as usize] + i64::max(gap_ms + beside_ms, 0);
            let (of, what) = match what {
                What::Cross(area, trigger) => (Some((area, trigger)), what),
                What::Other(_) => (None, What::Other(place)),
                What::Fix(..) | What::Tick => (None, what),
            };
            let at_ms = (then_ms..).find(|at_ms| seen.insert((client, of, *at_ms))).expect("times do not run out");
            now_ms[client as usize] = at_ms;
            Step { client, at_ms, wall_ms, what }
        };
        (0u64..).zip(drafts).map(step).collect()
    })
}

fn rules() -> impl Strategy<Value = PresenceRules> {
    let (grace, timeout, reported) = (vec![0, 3_000, 10_000, 50_000], vec![12_000, 30_000], vec![20_000, 45_000]);
    (select(grace), select(timeout), select(reported)).prop_map(|(exit_grace_ms, presence_timeout_ms, silence_ms)| {
        PresenceRules { exit_grace_ms, presence_timeout_ms, reported_timeout_ms: silence_ms }
    })
}

fn town() -> impl Strategy<Value = Town> {
    let zone = (0u32..2, 0i32..12, 1i32..12).prop_map(|(map, from, size)| (map, from, from + size));
    let own_rules = prop::collection::btree_map(prop_oneof![0u32..4, Just(100)], rules(), 0..4);
    let all = (prop::collection::vec(zone, 1..5), rules(), own_rules);
    all.prop_map(|(zones, rules, own_rules)| Town { zones, rules, own_rules })
}

/// A script some of whose steps are put off behind later ones.
fn disordered() -> impl Strategy<Value = Vec<Step>> {
    let delays = prop::collection::vec(prop_oneof![3 => Just(0usize), 1 => 0usize..15], 70);
    (script(), delays).prop_map(|(script, delays)| {
        let mut order: Vec<(usize, Step)> = script.into_iter().enumerate().collect();
        order.sort_by_key(|(place, _)| place + delays[*place]);
        order.into_iter().map(|(_, step)| step).collect()
    })
}

/// Tells of each step whether it is late. Leaves out events that come after younger ones of their client without being
/// late, as a transition may after a fix: the rules say nothing of their order.
fn mark_late(steps: &[Step]) -> Vec<(Step, bool)> {
    let mut newest = BTreeMap::new();
    let mark = |step: &Step| {
        let Step { client, at_ms, what, .. } = *step;
        let of = match what {
            What::Fix(..) => 0,
            What::Cross(area, _) => 1 + area,
            What::Other(_) | What::Tick => return Some((*step, false)),
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
const END: Step = Step { client: CLIENTS, at_ms: 0, wall_ms: 1_000_000_000_000, what: What::Tick };

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn visits_are_at_every_step_what_an_offline_reading_of_the_rules_gives(town in town(), script in script()) {
        let mut run = Run::new(&town);
        let steps: Vec<Step> = script.into_iter().chain([END]).collect();
        for (place, step) in steps.iter().enumerate() {
            prop_assert!(matches!(run.take(*step), Verdict::Applied | Verdict::Unmatched));
            prop_assert_eq!(run.clock_ms(), run.reached_ms);
            let visits = offline(&town, &steps[..=place], run.reached_ms);
            prop_assert_eq!(&run.told(), &visits);
            let open = visits.iter().filter(|(_, exit)| exit.is_none());
            let open = open.map(|((client, area, source, _), _)| (ClientKey(*client), AreaKey(*area), *source));
            let counted = run.tally.iter().filter(|(_, count)| **count == 1).map(|(place, _)| *place);
            prop_assert_eq!(counted.collect::<Vec<_>>(), open.collect::<Vec<_>>());
        }
        prop_assert!(run.newest.is_none() || run.visits.values().all(|(_, exit)| exit.is_some()));
    }

    #[test]
    fn an_event_that_comes_again_changes_nothing(
        town in town(),
        script in script(),
        again in prop::collection::vec((0usize..70, 0usize..70, 0i64..400_000), 0..40),
    ) {
        let (mut once, mut more) = (Run::new(&town), Run::new(&town));
        for (place, step) in script.iter().enumerate() {
            prop_assert_eq!(once.take(*step), more.take(*step));
            for (_, which, wall_ms) in again.iter().filter(|(after, which, _)| *after == place && *which <= place) {
                if !matches!(script[*which].what, What::Tick) {
                    prop_assert_eq!(more.take(Step { wall_ms: *wall_ms, ..script[*which] }), Verdict::Duplicate);
                }
            }
            prop_assert_eq!((&once.log, once.clock_ms()), (&more.log, more.clock_ms()));
        }
    }

    #[test]
    fn late_events_are_told_and_change_nothing(town in town(), steps in disordered()) {
        let (mut with, mut without) = (Run::new(&town), Run::new(&town));
        for (step, is_late) in mark_late(&steps) {
            let verdict = with.take(step);
            prop_assert_eq!(verdict == Verdict::Late, is_late);
            prop_assert!(is_late || without.take(step) == verdict);
            prop_assert_eq!((&with.log, with.clock_ms()), (&without.log, without.clock_ms()));
        }
    }

    #[test]
    fn a_restart_makes_no_difference(
        town in town(),
        steps in disordered(),
        again in prop::collection::vec(0usize..70, 0..10),
        cuts in prop::collection::vec(0usize..70, 1..4),
        later in prop::option::of((0usize..70, rules())),
    ) {
        let (mut whole, mut cut) = (Run::new(&town), Run::new(&town));
        let again = again.into_iter().filter_map(|place| steps.get(place));
        for (place, step) in steps.iter().chain(again).enumerate() {
            prop_assert_eq!(whole.take(*step), cut.take(*step));
            if let Some((_, rules)) = later.filter(|(when, _)| *when == place) {
                for run in [&mut whole, &mut cut] {
                    run.town.rules = rules;
                    run.engine.set_site(SITE, rules);
                }
            }
            if cuts.contains(&place) {
                cut.restart();
            }
        }
        prop_assert_eq!(whole.take(END), cut.take(END));
        prop_assert_eq!(whole.visits.keys().collect::<Vec<_>>(), cut.visits.keys().collect::<Vec<_>>());
        prop_assert_eq!(whole.told(), cut.told());
    }
}
