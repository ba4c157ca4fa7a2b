//! One attempt: what is sent, and what the answer means.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::Policy;
use super::address::CheckedResolver;
use super::format::Format;
use super::signature;
use crate::clock::{Clock, stopwatch};
use crate::model::time::ReceivedAt;
use crate::receiver::signature::{HEADER_V1, HEADER_V2, Secret};
use crate::store::outbox::{Attempt, CallbackRecord, Verdict};

/// Bytes of an answer that are kept.
const ANSWER_BYTES: usize = 512;

/// How long the kept bytes of an answer are waited for, once its status is there.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Attempts after which an endpoint that answers, but not to this body, is believed.
const REFUSALS: u32 = 5;

/// What a message is sent as.
pub struct Outgoing {
    pub webhook_id: String,
    pub body: Vec<u8>,
}

/// What came back: the attempt as it is logged, and when the endpoint wants to be asked again.
pub struct Outcome {
    pub attempt: Attempt,
    pub retry_after: Option<Duration>,
}

#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    policy: Policy,
    clock: Clock,
}

impl Sender {
    pub fn new(policy: &Policy, clock: Clock) -> Result<Sender, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("Footfall/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names on its own, past the address check.
            .no_proxy()
            .timeout(policy.timeout)
            .dns_resolver(CheckedResolver(policy.allowed_networks.clone()))
            .build()?;
        Ok(Sender { client, policy: policy.clone(), clock })
    }

    /// Tries once.
    pub async fn send(&self, endpoint: &CallbackRecord, outgoing: Outgoing) -> Outcome {
        let at = self.clock.now();
        let since = stopwatch();
        let answer = self.post(endpoint, outgoing, at).await;
        let latency_ms = since.elapsed().as_secs_f64() * 1000.0;
        let (status, answer, problem, retry_after) = match answer {
            Ok(response) => {
                let (status, retry_after) = (response.status(), self.retry_after(response.headers()));
                (Some(status.as_u16()), Some(head(response).await), problem_of(status), retry_after)
            }
            Err(problem) => (None, None, Some(problem), None),
        };
        Outcome { attempt: Attempt { at, status, latency_ms, answer, problem }, retry_after }
    }

    async fn post(
        &self,
        endpoint: &CallbackRecord,
        outgoing: Outgoing,
        at: ReceivedAt,
    ) -> Result<reqwest::Response, String> {
        // A literal address passes no resolver.
        let url = self.policy.allowed_networks.check_url(&endpoint.url)?;
        let headers = headers(endpoint, &outgoing, at)?;
        let sent = self.client.post(url).headers(headers).body(outgoing.body).send();
        sent.await.map_err(|error| told(&error.without_url()))
    }

    /// Seconds, or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        u64::try_from(date.timestamp_millis() - self.clock.now().0).ok().map(Duration::from_millis)
    }
}

fn headers(endpoint: &CallbackRecord, outgoing: &Outgoing, at: ReceivedAt) -> Result<HeaderMap, String> {
    let Outgoing { webhook_id, body } = outgoing;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut set = |name: &str, value: &str| {
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err("a header of the endpoint is not valid".to_owned());
        };
        headers.insert(name, value);
        Ok(())
    };
    for (name, value) in &endpoint.headers {
        set(name, value)?;
    }
    set(signature::HEADER_ID, webhook_id)?;
    match Format::from_name(&endpoint.format) {
        Some(Format::Footfall) => {
            let timestamp_s = at.0.div_euclid(1000);
            set(signature::HEADER_TIMESTAMP, &timestamp_s.to_string())?;
            set(signature::HEADER_SIGNATURE, &signature::sign(&endpoint.secrets, webhook_id, timestamp_s, body))?;
        }
        Some(Format::Mist) => {
            // The vendor's header holds one signature.
            if let Some(secret) = endpoint.secrets.first().map(Secret::new) {
                set(HEADER_V1, &secret.sign_v1(body))?;
                set(HEADER_V2, &secret.sign_v2(body))?;
            }
        }
        _ => {}
    }
    Ok(headers)
}

/// An error with its causes.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn problem_of(status: StatusCode) -> Option<String> {
    if status.is_success() {
        None
    } else if status.is_redirection() {
        Some(format!("answered {status}: redirects are not followed, give the address itself"))
    } else {
        Some(format!("answered {status}"))
    }
}

/// The first bytes of an answer as text. One that does not come is not waited for.
async fn head(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < ANSWER_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - bytes.len())]);
        }
    };
    let _ = tokio::time::timeout(ANSWER_WAIT, reading).await;
    String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}")
}

impl Policy {
    /// What an attempt means. `tried` counts the message's attempts before this one, `failures` the endpoint's failures
    /// in a row; `jitter` is from 0 to 1.
    pub fn verdict(&self, outcome: &Outcome, tried: u32, failures: u32, jitter: f64) -> Verdict {
        let status = outcome.attempt.status;
        match status {
            Some(200..=299) => Verdict::Delivered,
            Some(410) => Verdict::Gone,
            // It is there, and says that the fault is in the body: the others behind it shall not wait for a day.
            Some(400 | 413 | 415 | 422) if tried + 1 >= REFUSALS => Verdict::Refused,
            _ => {
                let pause = self.pause(failures, jitter).max(outcome.retry_after.unwrap_or_default()).min(self.give_up);
                let at_ms = outcome.attempt.at.0 + outcome.attempt.latency_ms as i64 + pause.as_millis() as i64;
                Verdict::Retry { at: ReceivedAt(at_ms) }
            }
        }
    }

    /// The pause after so many failures before this one: twice as long each time, less up to a half by jitter, so that
    /// endpoints that failed together are not called together.
    fn pause(&self, failures: u32, jitter: f64) -> Duration {
        let doubled = self.retry_first.as_secs_f64() * 2f64.powi(failures.min(60) as i32);
        Duration::from_secs_f64(doubled.min(self.retry_max.as_secs_f64()) * (1.0 - jitter / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            is_delivering: true,
            allowed_networks: [].into_iter().collect(),
            timeout: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(600),
            give_up: Duration::from_secs(86_400),
        }
    }

    fn outcome(status: Option<u16>, retry_after_s: Option<u64>) -> Outcome {
        let attempt = Attempt { at: ReceivedAt(0), status, latency_ms: 0.0, answer: None, problem: None };
        Outcome { attempt, retry_after: retry_after_s.map(Duration::from_secs) }
    }

    fn retry_s(failures: u32, jitter: f64, retry_after_s: Option<u64>) -> f64 {
        match policy().verdict(&outcome(Some(503), retry_after_s), 0, failures, jitter) {
            Verdict::Retry { at } => at.0 as f64 / 1000.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_jitter_shortens_them() {
        let pauses: Vec<f64> = (0..12).map(|failures| retry_s(failures, 0.0, None)).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 600.0, 600.0]);
        assert_eq!(retry_s(3, 1.0, None), 4.0);
        assert_eq!(retry_s(u32::MAX, 0.0, None), 600.0);
    }

    #[test]
    fn an_endpoint_may_ask_for_more_time_but_not_for_ever() {
        assert_eq!(retry_s(0, 0.0, Some(30)), 30.0);
        assert_eq!(retry_s(9, 0.0, Some(30)), 512.0);
        assert_eq!(retry_s(0, 0.0, Some(u64::MAX)), 86_400.0);
    }

    #[test]
    fn what_an_answer_means() {
        let verdict = |status, tried| policy().verdict(&outcome(status, None), tried, 0, 0.0);
        let again = Verdict::Retry { at: ReceivedAt(1000) };
        assert_eq!(verdict(Some(204), 0), Verdict::Delivered);
        assert_eq!(verdict(Some(410), 0), Verdict::Gone);
        assert_eq!(verdict(Some(422), 3), again);
        assert_eq!(verdict(Some(422), 4), Verdict::Refused);
        for status in [None, Some(302), Some(401), Some(404), Some(408), Some(429), Some(500), Some(503)] {
            assert_eq!(verdict(status, 99), again, "{status:?}");
        }
    }
}
