//! A webhook's body, whatever it holds, is read or refused; what is read is no more than was sent.

#![no_main]

use std::sync::Arc;

use footfall::model::event::Events;
use footfall::model::time::ReceivedAt;
use footfall::receiver::decode::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let source: Arc<str> = "fuzz".into();
    let received_at = ReceivedAt(1_782_892_800_000);
    let Ok(delivery) = decode(&source, body, received_at, None) else { return };
    assert_eq!(delivery.body_bytes, body.len());
    // Each event takes two bytes at least, `{}`; an alert of the vendor's names several zones.
    assert!(delivery.events.len() + delivery.quarantined.len() <= body.len().max(1));
    if let Events::Fixes(fixes) = &delivery.events {
        let again = decode(&source, body, received_at, None).expect("it was read before");
        let Events::Fixes(same) = &again.events else { panic!("the topic is the same") };
        assert_eq!(format!("{fixes:?}"), format!("{same:?}"));
    }
});
