//! Alarms over fixes: when they fire, and that nothing but the events has a say in it.

use proptest::prelude::*;

use super::{Alerting, Counted, DedupeWindow, Engine, FixInput, Plan, Setup, Stay, Zone};
use crate::model::alert::{Alarm, AlarmChange, AlarmId, Condition, Resolution, Rule, Subject};
use crate::model::event::Fingerprint;
use crate::model::floorplan::Outline;
use crate::model::ids::{AreaKey, ClientKey, MapKey, RuleKey, SiteKey, VisitKey};
use crate::model::position::Position;
use crate::model::schedule::{Schedule, Weekday, Window};
use crate::model::settings::PresenceRules;
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::{Source, Visit};

const SITE: SiteKey = SiteKey(1);
const MAP: MapKey = MapKey(1);
const LOBBY: AreaKey = AreaKey(1);
const DESK: AreaKey = AreaKey(2);
/// 2026-07-06T00:00:00Z, a Monday.
const MONDAY_MS: i64 = 1_783_296_000_000;

fn rule(condition: Condition, for_s: i64, subjects: &[Subject]) -> Rule {
    let subjects = subjects.to_vec();
    Rule { key: RuleKey(1), version: 1, condition, for_ms: for_s * 1000, repeat_ms: None, schedule: None, subjects }
}

fn above(limit: u32, clear: u32, for_s: i64) -> Rule {
    rule(Condition::Above { limit, clear }, for_s, &[Subject::Area(LOBBY)])
}

/// A lobby of 10 m with a desk in its corner, nobody there.
fn engine(rules: Vec<Rule>) -> Engine {
    let mut engine = Engine::new(DedupeWindow(86_400_000), VisitKey(1));
    let square = |area, side: f64| {
        let ring = vec![[0.0, 0.0], [side, 0.0], [side, side], [0.0, side], [0.0, 0.0]];
        Zone { area, version: 1, outline: Outline::from_rings(vec![ring]).unwrap() }
    };
    engine.set_site(SITE, PresenceRules::DEFAULT);
    engine.set_map(SITE, MAP, Some(Plan { size_m: None, zones: vec![square(LOBBY, 10.0), square(DESK, 2.0)] }));
    set(&mut engine, rules);
    engine
}

fn set(engine: &mut Engine, rules: Vec<Rule>) {
    let counted = Counted { source: Source::Computed, map: Some(MAP) };
    engine
        .set_alerting(SITE, Alerting { rules, areas: [LOBBY, DESK].map(|area| (area, counted)).into_iter().collect() });
}

/// A client at a second of the day, so many metres from the corner.
fn fix(engine: &mut Engine, client: u32, at_s: i64, x_m: f64) {
    let at_ms = MONDAY_MS + at_s * 1000;
    let position = Position::from_metres(x_m, 1.0).unwrap();
    let (at, received_at) = (EventTime(at_ms), ReceivedAt(at_ms));
    let fix = FixInput { site: SITE, map: MAP, client: ClientKey(client), at, received_at, position };
    engine.apply_fix(&fix, &mut Vec::new());
}

fn tick(engine: &mut Engine, at_s: i64) {
    engine.tick(ReceivedAt(MONDAY_MS + at_s * 1000), &mut Vec::new());
}

/// "pending 5, fired 65 (3)": seconds of the day, and clients.
fn told(engine: &mut Engine) -> String {
    let seconds = |at: EventTime| (at.0 - MONDAY_MS) as f64 / 1000.0;
    let line = |change: AlarmChange| match change {
        AlarmChange::Pending { since, .. } => format!("pending {}", seconds(since)),
        AlarmChange::Calmed { .. } => "calmed".into(),
        AlarmChange::Fired { at, clients, .. } => format!("fired {} ({clients})", seconds(at)),
        AlarmChange::Repeated { at, clients, .. } => format!("again {} ({clients})", seconds(at)),
        AlarmChange::Resolved { at, clients, why: Resolution::Cleared, .. } => {
            format!("resolved {} ({clients})", seconds(at))
        }
        AlarmChange::Resolved { at, why, .. } => format!("resolved {} {why:?}", seconds(at)),
    };
    engine.take_alarm_changes().into_iter().map(|(_, change)| line(change)).collect::<Vec<_>>().join(", ")
}

#[test]
fn it_fires_once_it_held_for_long_enough_and_resolves_at_its_clear_limit() {
    let mut engine = engine(vec![above(2, 1, 60)]);
    for client in 0..3 {
        fix(&mut engine, client, i64::from(client), 5.0);
    }
    assert_eq!(told(&mut engine), "pending 2");
    fix(&mut engine, 0, 50, 5.0);
    fix(&mut engine, 1, 70, 5.0);
    assert_eq!(told(&mut engine), "fired 62 (3)");
    fix(&mut engine, 0, 80, 50.0);
    fix(&mut engine, 0, 90, 50.0);
    assert_eq!(told(&mut engine), "", "two are still more than the clear limit");
    fix(&mut engine, 1, 100, 50.0);
    tick(&mut engine, 300);
    assert_eq!(told(&mut engine), "resolved 110 (1)");
}

#[test]
fn whoever_leaves_before_the_time_is_up_calms_it() {
    let mut engine = engine(vec![above(0, 0, 60)]);
    fix(&mut engine, 0, 0, 5.0);
    fix(&mut engine, 0, 50, 50.0);
    tick(&mut engine, 59);
    assert_eq!(told(&mut engine), "pending 0");
    tick(&mut engine, 60);
    assert_eq!(told(&mut engine), "calmed", "gone at the very instant at which it would have fired");
    tick(&mut engine, 1000);
    assert_eq!(told(&mut engine), "");
}

#[test]
fn somebody_who_fell_silent_is_gone_before_another_comes() {
    // At 400 s the first has been silent since 0 s; both were never there at once.
    let mut engine = engine(vec![above(1, 1, 0)]);
    fix(&mut engine, 0, 0, 5.0);
    fix(&mut engine, 1, 400, 5.0);
    assert_eq!(told(&mut engine), "");
}

#[test]
fn a_map_and_a_site_count_a_client_once() {
    let mut engine =
        engine(vec![rule(Condition::Above { limit: 1, clear: 1 }, 0, &[Subject::Map(MAP), Subject::Site])]);
    fix(&mut engine, 0, 0, 1.0);
    assert_eq!(told(&mut engine), "", "in lobby and desk, but one client");
    fix(&mut engine, 1, 1, 1.0);
    assert_eq!(told(&mut engine), "fired 1 (2), fired 1 (2)");
}

#[test]
fn too_few_is_a_rule_too_and_holds_from_its_making() {
    let mut engine = engine(vec![rule(Condition::Below { limit: 1, clear: 1 }, 10, &[Subject::Area(DESK)])]);
    fix(&mut engine, 0, 0, 5.0);
    tick(&mut engine, 20);
    assert_eq!(told(&mut engine), "pending 0, fired 10 (0)");
    fix(&mut engine, 0, 21, 1.0);
    assert_eq!(told(&mut engine), "resolved 21 (1)");
}

#[test]
fn a_schedule_begins_and_ends_it() {
    let window = Window { weekday: Weekday::Mon, from_min: 1, to_min: 2 };
    let schedule = Schedule::new("UTC".parse().unwrap(), vec![window]);
    let mut engine = engine(vec![Rule { schedule, ..above(0, 0, 0) }]);
    fix(&mut engine, 0, 0, 5.0);
    tick(&mut engine, 200);
    assert_eq!(told(&mut engine), "fired 60 (1), resolved 120 OffSchedule");
}

#[test]
fn another_version_of_a_rule_begins_anew_and_the_same_goes_on() {
    let mut engine = engine(vec![above(0, 0, 0)]);
    fix(&mut engine, 0, 0, 5.0);
    set(&mut engine, vec![Rule { version: 2, ..above(0, 0, 0) }]);
    tick(&mut engine, 1);
    assert_eq!(told(&mut engine), "fired 0 (1)", "another name is no other rule");
    set(&mut engine, vec![Rule { version: 3, ..above(3, 3, 0) }]);
    tick(&mut engine, 2);
    assert_eq!(told(&mut engine), "resolved 2 RuleChanged");
    set(&mut engine, vec![]);
    tick(&mut engine, 3);
    assert_eq!(told(&mut engine), "");
}

#[test]
fn whoever_stays_too_long_is_an_alarm_of_their_own() {
    let mut engine = engine(vec![rule(Condition::Dwell, 100, &[Subject::Area(LOBBY)])]);
    for at_s in [0, 40, 80, 120] {
        fix(&mut engine, 0, at_s, 5.0);
        fix(&mut engine, 1, at_s + 30, 5.0);
    }
    assert_eq!(told(&mut engine), "fired 100 (1), fired 130 (1)");
    fix(&mut engine, 0, 160, 50.0);
    tick(&mut engine, 170);
    assert_eq!(told(&mut engine), "resolved 170 (0)");
    fix(&mut engine, 0, 180, 5.0);
    tick(&mut engine, 279);
    assert_eq!(told(&mut engine), "", "a new stay begins anew");
    tick(&mut engine, 280);
    assert_eq!(told(&mut engine), "fired 280 (1)");
}

#[test]
fn whoever_leaves_in_time_has_not_stayed_too_long() {
    let mut engine = engine(vec![rule(Condition::Dwell, 100, &[Subject::Area(LOBBY)])]);
    fix(&mut engine, 0, 0, 5.0);
    fix(&mut engine, 0, 90, 50.0);
    tick(&mut engine, 500);
    assert_eq!(told(&mut engine), "");
}

#[test]
fn silence_is_told_of_a_site_and_of_a_map_until_something_new_comes() {
    let mut engine = engine(vec![rule(Condition::NoData, 60, &[Subject::Map(MAP), Subject::Site])]);
    for at_s in [0, 60, 120] {
        fix(&mut engine, 0, at_s, 5.0);
    }
    tick(&mut engine, 180);
    assert_eq!(told(&mut engine), "", "heard of just in time is in time");
    tick(&mut engine, 200);
    assert_eq!(told(&mut engine), "fired 180 (0), fired 180 (0)");
    fix(&mut engine, 0, 120, 5.0);
    tick(&mut engine, 210);
    assert_eq!(told(&mut engine), "", "a duplicate is nothing new");
    let other = Fingerprint(7);
    let (at, received_at) = (EventTime(MONDAY_MS + 220_000), ReceivedAt(MONDAY_MS + 220_000));
    engine.apply_other(SITE, other, at, false, received_at, &mut Vec::new());
    assert_eq!(told(&mut engine), "resolved 220 (0)", "the site, not the map");
    fix(&mut engine, 0, 230, 5.0);
    tick(&mut engine, 1000);
    assert_eq!(told(&mut engine), "resolved 230 (0), fired 290 (0), fired 290 (0)");
}

#[test]
fn what_goes_on_is_told_again_and_once_for_all_the_times_missed() {
    let mut engine = engine(vec![Rule { repeat_ms: Some(100_000), ..above(0, 0, 0) }]);
    fix(&mut engine, 0, 0, 5.0);
    tick(&mut engine, 250);
    assert_eq!(told(&mut engine), "fired 0 (1), again 100 (1), again 200 (1)");
    fix(&mut engine, 0, 260, 50.0);
    tick(&mut engine, 500);
    assert_eq!(told(&mut engine), "resolved 270 (0)");
}

#[test]
fn a_restart_changes_no_alarm_and_forgets_no_deadline() {
    let id = AlarmId { rule: RuleKey(1), subject: Subject::Area(LOBBY) };
    let seconds = |s: i64| EventTime(MONDAY_MS + s * 1000);
    let mut engine = engine(vec![above(0, 0, 60)]);
    // As it stood at 50 s: somebody came at 0 s and has been heard of at 50 s.
    engine.restore_clock(SITE, seconds(50), ReceivedAt(MONDAY_MS + 50_000));
    engine.restore_fix(SITE, ClientKey(1), seconds(50), false);
    let visit = Visit {
        key: VisitKey(1),
        site: SITE,
        map: Some(MAP),
        area: LOBBY,
        area_version: 1,
        client: ClientKey(1),
        source: Source::Computed,
        entered_at: seconds(0),
    };
    engine.restore_stay(Stay { visit, outside_since: None, closed: None });
    set(&mut engine, vec![above(0, 0, 60)]);
    engine.restore_alarm(SITE, id, Alarm::Pending { since: seconds(0) });
    engine.resume_alarms();
    assert_eq!(told(&mut engine), "");
    tick(&mut engine, 1000);
    assert_eq!(told(&mut engine), "fired 60 (1), resolved 350.001 (0)");
}

/// Seconds since the fix before it, the client, metres.
fn walk() -> impl Strategy<Value = Vec<(i64, u32, f64)>> {
    let step = (prop_oneof![4 => 0..30i64, 1 => 250..350i64], 0..4u32, prop::sample::select(vec![1.0, 5.0, 50.0]));
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// The clock may be looked at whenever it likes: alarms change at the same times all the same.
    #[test]
    fn ticks_make_no_difference(walk in walk(), ticks in prop::collection::vec(1..100i64, 0..40), limit in 0..3u32,
        clear in 0..3u32, for_s in prop::sample::select(vec![0i64, 7, 60])) {
        let subjects = [Subject::Area(LOBBY), Subject::Map(MAP)];
        let numbered = |key, repeat_ms, rule| Rule { key: RuleKey(key), repeat_ms, ..rule };
        let rules = || vec![
            numbered(1, Some(45_000), rule(Condition::Above { limit, clear: clear.min(limit) }, for_s, &subjects)),
            numbered(2, None, rule(Condition::Dwell, for_s + 20, &subjects[..1])),
            numbered(3, Some(70_000), rule(Condition::NoData, for_s + 20, &[Subject::Site, Subject::Map(MAP)])),
            numbered(4, None, rule(Condition::Below { limit: 1, clear: 2 }, for_s, &subjects)),
        ];
        let (mut plain, mut ticked) = (engine(rules()), engine(rules()));
        let (mut at_s, mut next_tick_s) = (0, 0);
        let mut ticks = ticks.into_iter();
        for (pause_s, client, x_m) in walk {
            at_s += pause_s;
            while next_tick_s < at_s {
                tick(&mut ticked, next_tick_s);
                next_tick_s += ticks.next().unwrap_or(1_000_000);
            }
            fix(&mut plain, client, at_s, x_m);
            fix(&mut ticked, client, at_s, x_m);
        }
        tick(&mut plain, at_s + 1000);
        tick(&mut ticked, at_s + 1000);
        prop_assert_eq!(told(&mut plain), told(&mut ticked));
    }
}
