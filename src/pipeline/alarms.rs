//! Alert rules on their way to the engine, and what became of alarms on its way into the drain.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::places::Places;
use crate::engine::{Alerting, Counted, Engine};
use crate::model::alert::{AlarmChange, AlarmId, Condition, Rule, Subject};
use crate::model::ids::{AlertKey, AreaKind, MapKey, RuleKey, SiteKey};
use crate::model::schedule::{DAY_MIN, Schedule, Weekday, Window};
use crate::model::time::ReceivedAt;
use crate::model::visit::Source;
use crate::store::alerts::{self, AlarmRow, Columns, Resolved, RuleRecord, RuleRow, RuleTarget};
use crate::store::outbox::{self, Notice, NoticeKind};
use crate::store::row::{self, Instant, column};
use crate::store::writer::Drain;
use crate::store::{ReadConnection, StoreError};

/// Gives the sites among `places` the rules that are valid now.
pub fn give_rules(conn: &ReadConnection, places: &Places, engine: &mut Engine) -> Result<(), StoreError> {
    for (site, alerting) in alerting(&alerts::rules(conn)?, places) {
        engine.set_alerting(site, alerting);
    }
    Ok(())
}

/// What a rule that is not saved would watch, in each site where it would watch anything.
pub fn alerting_of(places: &Places, record: RuleRecord) -> BTreeMap<SiteKey, Alerting> {
    let record = RuleRecord { is_enabled: true, ..record };
    let row = RuleRow { key: RuleKey(0), version: 0, valid_from_ms: 0, valid_to_ms: None, record };
    let mut sites = alerting(&[row], places);
    sites.retain(|_, alerting| !alerting.rules.is_empty());
    sites
}

/// For each site, its rules that are enabled.
fn alerting(rules: &[RuleRow], places: &Places) -> BTreeMap<SiteKey, Alerting> {
    let mut sites: BTreeMap<SiteKey, Alerting> =
        places.sites.iter().map(|site| (site.key, Alerting::default())).collect();
    let zones: FxHashMap<SiteKey, &str> = places.sites.iter().map(|site| (site.key, site.time_zone.as_str())).collect();
    let maps: FxHashMap<MapKey, Option<SiteKey>> = places.maps.iter().map(|map| (map.key, map.site)).collect();
    let mut subjects: BTreeMap<(usize, SiteKey), Vec<Subject>> = BTreeMap::new();
    for area in &places.areas {
        let Some(site) = area.site else { continue };
        let is_mapped_zone = area.id.kind == AreaKind::Zone && area.version > 0;
        // A choice counts as long as the area is there.
        let source = match area.source.filter(|_| area.version > 0) {
            Some(source) => source,
            None if is_mapped_zone => Source::Computed,
            None => Source::Reported,
        };
        if let Some(alerting) = sites.get_mut(&site) {
            alerting.areas.insert(area.key, Counted { source, map: area.map });
        }
        for (place, rule) in rules.iter().enumerate() {
            let RuleTarget { site: of_site, map: of_map, area: of_area, tag } = &rule.record.target;
            let is_of_site = of_site.is_none_or(|of_site| of_site == site);
            let is_tagged = is_of_site && tag.as_ref().is_some_and(|tag| area.tags.contains(tag));
            // Stays are stays in areas: on a map or a site, in any of its areas.
            let is_stay = rule.record.condition == Condition::Dwell && tag.is_none();
            let is_of_map = of_map.is_some() && *of_map == area.map;
            let is_stay = is_stay && (is_of_map || *of_site == Some(site));
            if *of_area == Some(area.key) || is_tagged || is_stay {
                subjects.entry((place, site)).or_default().push(Subject::Area(area.key));
            }
        }
    }
    for (place, rule) in rules.iter().enumerate() {
        let target = &rule.record.target;
        if rule.record.condition == Condition::Dwell {
            continue;
        }
        if let Some(map) = target.map
            && let Some(Some(site)) = maps.get(&map)
        {
            subjects.entry((place, *site)).or_default().push(Subject::Map(map));
        }
        if let (Some(site), None) = (target.site, &target.tag) {
            subjects.entry((place, site)).or_default().push(Subject::Site);
        }
    }
    for ((place, site), subjects) in subjects {
        if rules[place].record.is_enabled
            && let Some(alerting) = sites.get_mut(&site)
        {
            alerting.rules.push(rule(&rules[place], zones[&site], subjects));
        }
    }
    sites
}

fn rule(row: &RuleRow, zone: &str, subjects: Vec<Subject>) -> Rule {
    let record = &row.record;
    let schedule = record.schedule_json.as_deref().and_then(|json| {
        let times: Vec<ScheduleTimes> = serde_json::from_str(json).ok()?;
        Schedule::new(zone.parse().ok()?, windows(&times)?)
    });
    let ms = |s: f64| (s * 1000.0).round() as i64;
    Rule {
        key: row.key,
        version: row.version,
        condition: record.condition,
        for_ms: ms(record.for_s),
        repeat_ms: record.repeat_s.map(|s| ms(s).max(1)),
        schedule,
        subjects,
    }
}

/// Times of some days of the week, as they are given and stored.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTimes {
    /// `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    #[schema(example = json!(["mon", "tue"]))]
    pub days: Vec<String>,
    #[schema(example = "08:00", pattern = "^([01]?[0-9]|2[0-3]):[0-5]?[0-9]$")]
    pub from: String,
    /// Not included; `24:00` is the end of the day.
    #[schema(example = "18:30", pattern = "^(([01]?[0-9]|2[0-3]):[0-5]?[0-9]|24:00)$")]
    pub to: String,
}

/// The windows of some times; `None` where one is no time of a day, or ends before it begins.
pub fn windows(times: &[ScheduleTimes]) -> Option<Vec<Window>> {
    let mut windows = Vec::new();
    for ScheduleTimes { days, from, to } in times {
        let (from_min, to_min) = (minute(from)?, minute(to)?);
        for day in days {
            windows.push(Window { weekday: day.parse::<Weekday>().ok()?, from_min, to_min });
        }
    }
    let is_sound = |window: &Window| window.from_min < window.to_min;
    (!windows.is_empty() && windows.iter().all(is_sound)).then_some(windows)
}

fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && minute <= DAY_MIN).then_some(minute)
}

/// The alerts that fire now, and the number of the next.
#[derive(Debug)]
pub struct Alarms {
    next: AlertKey,
    firing: FxHashMap<(SiteKey, AlarmId), AlertKey>,
    /// When to look whether an alert is to be told that was silenced until then.
    look_at: Option<ReceivedAt>,
}

impl Alarms {
    /// Gives an engine, whose rules, clocks and visits are there, the alarms that were not ok.
    pub fn restore(conn: &ReadConnection, engine: &mut Engine) -> Result<Alarms, StoreError> {
        let mut firing = FxHashMap::default();
        for AlarmRow { site, id, alarm, alert } in alerts::alarms(conn)? {
            engine.restore_alarm(site, id, alarm);
            firing.extend(alert.map(|alert| ((site, id), alert)));
        }
        for (site, map, at) in alerts::maps_heard(conn)? {
            engine.restore_heard(site, map, at);
        }
        engine.resume_alarms();
        Ok(Alarms { next: alerts::next_alert(conn)?, firing, look_at: Some(ReceivedAt(i64::MIN)) })
    }

    /// After a change of silences.
    pub fn look_again(&mut self) {
        self.look_at = Some(ReceivedAt(i64::MIN));
    }

    /// Alerts that may be told now that were silenced before.
    pub fn unsilence(&mut self, conn: &ReadConnection, now: ReceivedAt) -> Result<Vec<Notice>, StoreError> {
        if self.look_at.is_none_or(|look_at| now < look_at) {
            return Ok(Vec::new());
        }
        self.look_at = outbox::next_silence_end(conn, now)?;
        let notice = |alert| Notice { alert, what: NoticeKind::Unsilenced };
        Ok(outbox::untold(conn)?.into_iter().map(notice).collect())
    }

    /// Puts what became of alarms into the drain.
    pub fn settle(&mut self, changes: Vec<(SiteKey, AlarmChange)>, drain: &mut Drain) {
        let mut pending = BTreeMap::new();
        for (site, change) in changes {
            match change {
                AlarmChange::Pending { id, since } => {
                    let subject = Columns::of(id.subject);
                    let row = row::PendingAlarm {
                        rule_key: column(id.rule.0),
                        site_key: column(site.0),
                        map_key: subject.map,
                        area_key: subject.area,
                        since_at: Instant(since.0),
                    };
                    pending.insert((site, id), Some(row));
                }
                AlarmChange::Calmed { id } => _ = pending.insert((site, id), None),
                AlarmChange::Fired { id, version, since, at, clients } => {
                    pending.insert((site, id), None);
                    let alert = self.next;
                    self.next.0 += 1;
                    self.firing.insert((site, id), alert);
                    let subject = Columns::of(id.subject);
                    drain.alerts.push(row::Alert {
                        alert_key: alert.0,
                        rule_key: column(id.rule.0),
                        rule_version: column(version),
                        site_key: column(site.0),
                        map_key: subject.map,
                        area_key: subject.area,
                        client_key: subject.client,
                        since_at: Instant(since.0),
                        fired_at: Instant(at.0),
                        clients: i64::from(clients),
                        resolved_at: None,
                        resolved_clients: None,
                        resolution: None,
                        told_at: Instant(at.0),
                        is_told: true,
                        acknowledged_at: None,
                        acknowledged_by: None,
                        acknowledged_note: None,
                    });
                    drain.notices.list.push(Notice { alert, what: NoticeKind::Fired });
                }
                AlarmChange::Repeated { id, at, clients } => {
                    if let Some(&alert) = self.firing.get(&(site, id)) {
                        drain.told_alerts.push((alert, at));
                        drain.notices.list.push(Notice { alert, what: NoticeKind::Repeated { clients } });
                    }
                }
                AlarmChange::Resolved { id, at, clients, why } => {
                    if let Some(alert) = self.firing.remove(&(site, id)) {
                        drain.resolved_alerts.push(Resolved { alert, at, clients, why });
                        drain.notices.list.push(Notice { alert, what: NoticeKind::Resolved });
                    }
                }
            }
        }
        drain.pending_alarms.extend(pending);
    }
}
