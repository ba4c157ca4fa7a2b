//! The presence rules, one short timeline each.
//!
//! A timeline is steps joined by `|`, each `TIME WHAT`: `40s a@lobby` is a fix of client a in a zone, `enter a hall` and
//! `exit a hall` are reported, `tick` runs the wall clock to that time, `other` is an event that moves nobody. Zones:
//! `lobby` and `desk` (nested in lobby) on map 1, `attic` on map 2; `street` is map 1 outside all zones.

use super::*;
use crate::model::floorplan::Outline;
use crate::model::visit::{Ended, Exit};

const SITE: SiteKey = SiteKey(0);
const AREAS: [&str; 4] = ["lobby", "desk", "attic", "hall"];
const DAY: DedupeWindow = DedupeWindow(86_400_000);

fn square(area: u32, from: f64, to: f64) -> Zone {
    let ring = vec![[from, from], [to, from], [to, to], [from, to], [from, from]];
    Zone { area: AreaKey(area), version: 1, outline: Outline::from_rings(vec![ring]).unwrap() }
}

fn place(name: &str) -> (MapKey, Position) {
    let (map, at) = match name {
        "lobby" => (1, 5.0),
        "desk" => (1, 2.0),
        "street" => (1, 50.0),
        "attic" => (2, 5.0),
        other => panic!("no place {other}"),
    };
    (MapKey(map), Position::from_metres(at, at).unwrap())
}

fn seconds(text: &str) -> i64 {
    (text.strip_suffix('s').unwrap().parse::<f64>().unwrap() * 1000.0) as i64
}

struct Player {
    engine: Engine,
    told: Vec<String>,
}

impl Player {
    fn new(rules: PresenceRules) -> Player {
        let mut engine = Engine::new(DAY, VisitKey(1));
        engine.set_site(SITE, rules);
        let plan = |zones| Some(Plan { size_m: Some((20.0, 20.0)), zones });
        engine.set_map(SITE, MapKey(1), plan(vec![square(0, 0.0, 10.0), square(1, 1.0, 3.0)]));
        engine.set_map(SITE, MapKey(2), plan(vec![square(2, 0.0, 10.0)]));
        Player { engine, told: Vec::new() }
    }

    /// Wall time equals event time, so that a tick at 60s is 60 s after the first event at 0s.
    fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split_whitespace().collect();
        let at_ms = seconds(words[0]);
        let (at, received_at) = (EventTime(at_ms), ReceivedAt(at_ms));
        let mut changes = Vec::new();
        let verdict = match words[1..] {
            ["tick"] => {
                self.engine.tick(received_at, &mut changes);
                Verdict::Applied
            }
            ["other"] => {
                let print = Fingerprint(at_ms as u64);
                self.engine.apply_other(SITE, print, at, false, received_at, &mut changes)
            }
            [trigger @ ("enter" | "exit"), client, area] => {
                let input = TransitionInput {
                    site: SITE,
                    map: None,
                    area: AreaKey(AREAS.iter().position(|name| *name == area).unwrap() as u32),
                    area_version: 0,
                    client: client_key(client),
                    trigger: if trigger == "enter" { Trigger::Enter } else { Trigger::Exit },
                    at,
                    received_at,
                };
                self.engine.apply_transition(&input, &mut changes)
            }
            [fix] => {
                let (client, name) = fix.split_once('@').unwrap();
                let (map, position) = place(name);
                let client = client_key(client);
                self.engine.apply_fix(&FixInput { site: SITE, map, client, at, received_at, position }, &mut changes)
            }
            _ => panic!("no step {step}"),
        };
        if verdict != Verdict::Applied {
            self.told.push(format!("{verdict:?}").to_lowercase());
        }
        self.told.extend(changes.iter().map(tell));
    }
}

fn client_key(name: &str) -> ClientKey {
    ClientKey(u32::from(name.as_bytes()[0]))
}

fn tell(change: &VisitChange) -> String {
    let who = |visit: &Visit| {
        let client = char::from(visit.client.0 as u8);
        format!("{client} {}", AREAS[visit.area.0 as usize])
    };
    let s = |at: EventTime| format!("{}s", at.0 as f64 / 1000.0);
    match change {
        VisitChange::Opened(visit) => format!("{} from {}", who(visit), s(visit.entered_at)),
        VisitChange::Reopened(visit) => format!("{} goes on", who(visit)),
        VisitChange::Closed(visit, Exit { exited_at, ended, clock_after }) => {
            let how = if *ended == Ended::Left { "left" } else { "timeout" };
            let by = if clock_after.is_some() { " by the clock" } else { "" };
            format!("{} {how} {}{by}", who(visit), s(*exited_at))
        }
    }
}

fn play(timeline: &str) -> String {
    play_with(PresenceRules::DEFAULT, timeline)
}

fn play_with(rules: PresenceRules, timeline: &str) -> String {
    let mut player = Player::new(rules);
    timeline.split('|').for_each(|step| player.step(step));
    player.told.join(", ")
}

#[test]
fn a_silent_client_exits_at_its_last_fix() {
    assert_eq!(play("0s a@lobby | 40s a@lobby | 341s tick"), "a lobby from 0s, a lobby timeout 40s by the clock");
}

#[test]
fn silence_of_exactly_the_timeout_is_outlived() {
    assert_eq!(play("0s a@lobby | 300s a@lobby | 600s tick"), "a lobby from 0s");
    assert_eq!(play("0s a@lobby | 300.001s a@lobby"), "a lobby from 0s, a lobby timeout 0s, a lobby from 300.001s");
}

#[test]
fn a_client_has_left_once_it_was_out_for_the_grace() {
    assert_eq!(play("0s a@lobby | 5s a@street | 15s a@street"), "a lobby from 0s, a lobby left 5s");
    assert_eq!(play("0s a@lobby | 5s a@street | 14.999s a@street"), "a lobby from 0s");
}

#[test]
fn a_client_back_within_the_grace_never_left() {
    assert_eq!(
        play("0s a@lobby | 5s a@street | 14.999s a@lobby | 20s a@street | 30s a@street"),
        "a lobby from 0s, a lobby left 20s"
    );
}

#[test]
fn a_client_back_after_the_grace_left_and_came_again() {
    assert_eq!(play("0s a@lobby | 5s a@street | 15s a@lobby"), "a lobby from 0s, a lobby left 5s, a lobby from 15s");
}

#[test]
fn without_a_grace_the_first_fix_outside_ends_the_visit() {
    let rules = PresenceRules { exit_grace_ms: 0, ..PresenceRules::DEFAULT };
    assert_eq!(play_with(rules, "0s a@lobby | 5s a@street"), "a lobby from 0s, a lobby left 5s");
}

#[test]
fn another_map_is_outside() {
    assert_eq!(play("0s a@lobby | 5s a@attic | 15s a@attic"), "a lobby from 0s, a attic from 5s, a lobby left 5s");
}

#[test]
fn nested_zones_are_separate_visits() {
    assert_eq!(play("0s a@desk | 5s a@lobby | 15s a@lobby"), "a lobby from 0s, a desk from 0s, a desk left 5s");
}

#[test]
fn silence_after_going_out_ends_when_it_went_out() {
    assert_eq!(play("0s a@lobby | 5s a@street | 400s a@street"), "a lobby from 0s, a lobby left 5s");
    assert_eq!(play("0s a@lobby | 5s a@street | 15s tick"), "a lobby from 0s, a lobby left 5s by the clock");
}

#[test]
fn one_lone_fix_is_a_visit_of_no_length() {
    assert_eq!(play("0s a@lobby | 301s b@street"), "a lobby from 0s, a lobby timeout 0s by the clock");
}

#[test]
fn a_clock_that_ran_ahead_of_a_fix_makes_no_difference() {
    assert_eq!(
        play("0s a@lobby | 400s b@street | 200s a@lobby | 900s tick"),
        "a lobby from 0s, a lobby timeout 0s by the clock, a lobby goes on, a lobby timeout 200s by the clock"
    );
    assert_eq!(
        play("0s a@lobby | 5s a@street | 60s tick | 10s a@lobby"),
        "a lobby from 0s, a lobby left 5s by the clock, a lobby goes on"
    );
    assert_eq!(
        play("0s a@lobby | 400s tick | 200s a@street | 210s a@street"),
        "a lobby from 0s, a lobby timeout 0s by the clock, a lobby goes on, a lobby left 200s by the clock"
    );
}

#[test]
fn what_the_clock_closed_stays_closed_when_the_next_fix_agrees() {
    assert_eq!(
        play("0s a@lobby | 400s tick | 301s a@lobby"),
        "a lobby from 0s, a lobby timeout 0s by the clock, a lobby from 301s"
    );
}

#[test]
fn late_and_repeated_fixes_move_nothing() {
    assert_eq!(play("0s a@lobby | 9s a@lobby | 5s a@street | 5s a@lobby"), "a lobby from 0s, late, duplicate");
    assert_eq!(play("0s a@lobby | 0s a@lobby"), "a lobby from 0s, duplicate");
}

#[test]
fn any_timed_event_moves_the_clock() {
    assert_eq!(play("0s a@lobby | 301s other"), "a lobby from 0s, a lobby timeout 0s by the clock");
}

#[test]
fn a_second_enter_goes_on_and_an_exit_without_enter_is_counted() {
    assert_eq!(
        play("0s enter a hall | 9s enter a hall | 20s exit a hall | 30s exit a hall"),
        "a hall from 0s, a hall left 20s, unmatched"
    );
}

#[test]
fn a_transition_older_than_its_areas_newest_is_late() {
    assert_eq!(play("10s enter a hall | 5s exit a hall | 10s enter a hall"), "a hall from 10s, late, duplicate");
}

#[test]
fn exit_and_enter_in_one_instant_go_by_the_order_they_came() {
    assert_eq!(
        play("0s enter a hall | 9s exit a hall | 9s enter a hall"),
        "a hall from 0s, a hall left 9s, a hall from 9s"
    );
}

#[test]
fn a_reported_visit_times_out_at_the_last_sign_of_its_client() {
    assert_eq!(
        play("0s enter a hall | 40000s a@street | 83201s tick"),
        "a hall from 0s, a hall timeout 40000s by the clock"
    );
    assert_eq!(play("0s enter a hall | 43201s a@street"), "a hall from 0s, a hall timeout 0s");
}

#[test]
fn an_exit_that_was_still_under_way_takes_back_the_timeout() {
    assert_eq!(
        play("0s enter a hall | 50000s tick | 43000s exit a hall"),
        "a hall from 0s, a hall timeout 0s by the clock, a hall goes on, a hall left 43000s"
    );
}

#[test]
fn a_wall_clock_set_back_does_not_turn_the_site_back() {
    let mut player = Player::new(PresenceRules::DEFAULT);
    for step in ["0s a@lobby", "100s tick", "50s tick"] {
        player.step(step);
    }
    assert_eq!(player.engine.clocks().collect::<Vec<_>>(), [(SITE, EventTime(100_000))]);
}

#[test]
fn an_area_may_have_its_own_rules() {
    let mut player = Player::new(PresenceRules::DEFAULT);
    let own = PresenceRules { exit_grace_ms: 2_000, ..PresenceRules::DEFAULT };
    player.engine.set_area_rules(SITE, AreaKey(1), Some(own));
    for step in ["0s a@desk", "5s a@street", "7s a@street"] {
        player.step(step);
    }
    assert_eq!(player.told.join(", "), "a lobby from 0s, a desk from 0s, a desk left 5s");
}

#[test]
fn whoever_was_in_a_zone_that_is_gone_has_left_it() {
    let mut player = Player::new(PresenceRules::DEFAULT);
    player.step("0s a@lobby");
    player.engine.set_map(SITE, MapKey(1), Some(Plan { size_m: None, zones: vec![] }));
    player.step("5s a@lobby");
    player.step("15s a@lobby");
    assert_eq!(player.told.join(", "), "a lobby from 0s, a lobby left 5s");
}

#[test]
fn a_fix_off_the_image_is_flagged_and_one_on_its_edge_is_not() {
    let player = Player::new(PresenceRules::DEFAULT);
    let is_off = |x_m, y_m| player.engine.is_off_map(SITE, MapKey(1), Position::from_metres(x_m, y_m).unwrap());
    assert!(!is_off(0.0, 20.0));
    assert!(is_off(-0.001, 5.0) && is_off(5.0, 20.001));
}
