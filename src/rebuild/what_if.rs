//! Visits of a zone that nobody has drawn: derived from the stored fixes, kept nowhere.

use std::ops::ControlFlow;

use super::scope::place;
use crate::engine::{Derivation, FixInput, Input, Plan, Setup, Zone};
use crate::model::floorplan::Outline;
use crate::model::ids::{AreaKey, MapKey, SiteKey};
use crate::model::metrics::Span;
use crate::model::settings::PresenceRules;
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::VisitChange;
use crate::store::history::{self, History, Question, What};
use crate::store::{Store, StoreError};

/// The zone, and when.
#[derive(Clone, Debug)]
pub struct WhatIf {
    pub site: SiteKey,
    pub map: MapKey,
    pub outline: Outline,
    pub rules: PresenceRules,
    pub from: EventTime,
    pub to: EventTime,
    /// The time the site has reached: what would still be open then is open in the answer.
    pub reached: EventTime,
}

/// Stands for the zone; no stored area has it, since keys are given from 0 up.
const ZONE: AreaKey = AreaKey(u32::MAX);

/// The zone's visits that touch the period, by entry. An end beyond the period may be missing.
///
/// Costs a read of the events of those who were within the zone's rectangle; memory for its visits.
pub fn spans(store: &Store, question: &WhatIf) -> Result<Vec<Span>, StoreError> {
    let WhatIf { site, map, outline, rules, from, to, reached } = question;
    let mut derivation = Derivation::default();
    derivation.set_site(*site, *rules);
    let zones = vec![Zone { area: ZONE, version: 0, outline: outline.clone() }];
    derivation.set_map(*site, *map, Some(Plan { size_m: None, zones }));
    // Whoever is inside at the end of the period shows within a silence whether it stays, or has gone already.
    let read_to = EventTime(to.0 + rules.presence_timeout_ms + rules.exit_grace_ms + 1);
    let history = History::open(
        store,
        Question {
            sites: vec![*site],
            areas: Vec::new(),
            places: vec![place(*map, outline)],
            from: Some(*from),
            to: Some(read_to),
            silence_ms: rules.presence_timeout_ms,
            through: store.read(history::newest_delivery)?,
        },
    )?;
    let mut changes = Vec::new();
    let mut spans = Vec::new();
    history.each_slab(&history.slabs()?, |events| {
        for event in events {
            if let What::Fix { map, position } = event.what {
                let (site, client, at) = (event.site, event.client, event.at);
                let received_at = ReceivedAt(at.0);
                derivation.take(&Input::Fix(FixInput { site, map, client, at, received_at, position }), &mut changes);
                note(&mut changes, question, &mut spans);
            }
        }
        derivation.forget_absent();
        Ok(ControlFlow::Continue(()))
    })?;
    derivation.run_clock_to(*site, (*reached).min(read_to), &mut changes);
    note(&mut changes, question, &mut spans);
    let open = derivation.stays().filter(|stay| stay.closed.is_none() && stay.visit.entered_at < *to);
    spans.extend(open.map(|stay| Span::new(stay.visit.client.0, stay.visit.entered_at.0, None)));
    spans.sort_by_key(|span| (span.entered_ms, span.client));
    Ok(spans)
}

fn note(changes: &mut Vec<VisitChange>, question: &WhatIf, spans: &mut Vec<Span>) {
    for change in changes.drain(..) {
        if let VisitChange::Closed(visit, exit) = change
            && visit.entered_at < question.to
            && (exit.exited_at > question.from || visit.entered_at >= question.from)
        {
            spans.push(Span::new(visit.client.0, visit.entered_at.0, Some(exit.exited_at.0)));
        }
    }
}
