//! Webhooks in: verify over the raw bytes, decode, hand on, and answer 200 once it is committed.
//!
//! Refusals are problem details that say what to do; 503 with `Retry-After` means nothing was kept, send it again.

pub mod decode;
mod fields;
mod payload;
mod plain;
mod scalar;
pub mod signature;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use ipnet::IpNet;

use crate::access::Access;
use crate::clock::Clock;
use crate::model::topic;
use crate::pipeline::{Handle, Receipt, Refused};
use crate::problem::{Problem, no_such_method};
use crate::telemetry::Metrics;
use decode::BodyError;
use signature::{Demand, SignatureError};

/// The source behind the address without a source's name.
pub const DEFAULT_SOURCE: &str = "default";

/// Bodies longer than this are decoded off the async threads, so that they hold up nobody else's answer.
const INLINE_BYTES_MAX: usize = 256 << 10;

/// Seconds after which a refused sender should try again.
const RETRY_AFTER_S: &str = "1";

/// What a source's deliveries must be.
pub struct SourceRules {
    pub demand: Demand,
    /// Networks that it may come from; empty: any.
    pub networks: Vec<IpNet>,
    /// How old an event may be, milliseconds; none: as old as it likes.
    pub age_ms_max: Option<i64>,
}

impl SourceRules {
    fn lets_in(&self, peer: Option<IpAddr>) -> bool {
        let is_listed = |peer: IpAddr| self.networks.iter().any(|network| network.contains(&peer.to_canonical()));
        self.networks.is_empty() || peer.is_some_and(is_listed)
    }
}

#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
}

struct Inner {
    sources: BTreeMap<String, (Arc<str>, SourceRules)>,
    /// Counts signatures that were wrong.
    access: Access,
    body_bytes_max: usize,
    pipeline: Handle,
    clock: Clock,
    metrics: Metrics,
}

impl Receiver {
    pub fn new(
        sources: BTreeMap<String, SourceRules>,
        access: Access,
        body_bytes_max: usize,
        pipeline: Handle,
        clock: Clock,
        metrics: Metrics,
    ) -> Receiver {
        let sources = sources.into_iter().map(|(name, rules)| (name.clone(), (name.into(), rules))).collect();
        Receiver { inner: Arc::new(Inner { sources, access, body_bytes_max, pipeline, clock, metrics }) }
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/webhooks/mist", post(take_default))
            .route("/v1/webhooks/mist/{source}", post(take_named))
            .method_not_allowed_fallback(no_such_method)
            .with_state(self)
    }
}

/// A webhook delivery of the source named `default`.
///
/// 200 means that every event is committed. The signature of the raw bytes stands in `X-Mist-Signature-v2`.
#[utoipa::path(post, path = "/v1/webhooks/mist", tag = "webhooks",
    request_body(content = serde_json::Value, description = "A topic and its events, plain or gzip", example = json!({
        "topic": "location", "events": [{"site_id": "4ac1dcf4-9d8b-7211-65c4-057819f0862b",
            "map_id": "63eda950-c6da-11e4-a628-60f81dd250cc", "type": "wifi", "mac": "5684dae9ac8b",
            "x": 13.5, "y": 3.3, "timestamp": 1782892800}]})),
    responses((status = 200, body = Receipt), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 429, body = Problem),
        (status = 404, body = Problem, description = "There is no source named `default`"),
        (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 503, body = Problem, description = "Nothing was kept: send it again",
            headers(("Retry-After" = i64, description = "Seconds")))))]
pub async fn take_default(State(receiver): State<Receiver>, request: Request<Body>) -> Response {
    receiver.take(DEFAULT_SOURCE, request).await
}

/// A webhook delivery of a named source.
#[utoipa::path(post, path = "/v1/webhooks/mist/{source}", tag = "webhooks",
    params(("source", description = "The source's name in the configuration")),
    request_body(content = serde_json::Value, description = "A topic and its events, plain or gzip", example = json!({
        "topic": "zone", "events": [{"site_id": "4ac1dcf4-9d8b-7211-65c4-057819f0862b",
            "zone_id": "0d1f5a52-0001-4c00-8000-000000000001", "trigger": "enter", "type": "wifi",
            "mac": "5684dae9ac8b", "timestamp": 1782892800}]})),
    responses((status = 200, body = Receipt), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 429, body = Problem),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 503, body = Problem, description = "Nothing was kept: send it again",
            headers(("Retry-After" = i64, description = "Seconds")))))]
pub async fn take_named(
    State(receiver): State<Receiver>,
    source: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response {
    // What is no text names no source.
    let source = source.map_or_else(|_| String::new(), |Path(name)| name);
    receiver.take(&source, request).await
}

/// Why a delivery is not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no source of this name: add [sources.NAME] to the configuration")]
    UnknownSource,
    #[error("deliveries of this source do not come from your address (sources.NAME.allowed_networks)")]
    ForeignNetwork,
    #[error(
        "too many deliveries from this address had a wrong signature: is the webhook's secret this source's secret?"
    )]
    TooMany { retry_after_s: u64 },
    #[error("the body could not be read to its end")]
    BrokenBody,
    #[error("the body is longer than {limit} bytes (receiver.body_bytes_max)")]
    TooLong { limit: usize },
    #[error("this content encoding is not taken: send plain JSON or gzip")]
    UnknownEncoding,
    #[error("the body is not what its content encoding says")]
    BrokenEncoding,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{0}; nothing of this delivery was kept, send it again")]
    Refused(#[from] Refused),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::UnknownSource => StatusCode::NOT_FOUND,
            Refusal::BrokenBody | Refusal::BrokenEncoding | Refusal::Body(_) => StatusCode::BAD_REQUEST,
            Refusal::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::ForeignNetwork => StatusCode::FORBIDDEN,
            Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Signature(_) => StatusCode::UNAUTHORIZED,
            Refusal::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = Problem::new(status, self.to_string()).into_response();
        let wait = match self {
            Refusal::TooMany { retry_after_s } => Some(header::HeaderValue::from(retry_after_s)),
            Refusal::Refused(_) => Some(header::HeaderValue::from_static(RETRY_AFTER_S)),
            _ => None,
        };
        response.headers_mut().extend(wait.map(|wait| (header::RETRY_AFTER, wait)));
        response
    }
}

impl Receiver {
    async fn take(&self, source: &str, request: Request<Body>) -> Response {
        let mut topic = "unknown".to_owned();
        let outcome = self.try_take(source, request, &mut topic).await;
        let label = if topic::KNOWN.contains(&topic.as_str()) { topic.as_str() } else { "other" };
        let known_source = if self.inner.sources.contains_key(source) { source } else { "unknown" };
        let response = match outcome {
            Ok(receipt) => Json(receipt).into_response(),
            Err(refusal) => {
                tracing::debug!(source = known_source, topic = label, reason = %refusal, "delivery refused");
                refusal.into_response()
            }
        };
        let status = response.status();
        self.inner.metrics.deliveries.with_label_values(&[known_source, label, status.as_str()]).inc();
        response
    }

    async fn try_take(&self, source: &str, request: Request<Body>, topic: &mut String) -> Result<Receipt, Refusal> {
        let (source, rules) = self.inner.sources.get(source).ok_or(Refusal::UnknownSource)?;
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        if !rules.lets_in(peer) {
            return Err(Refusal::ForeignNetwork);
        }
        let raw = self.read(&parts.headers, body).await?;
        let opened = if raw.len() <= INLINE_BYTES_MAX {
            self.open(source, rules, &parts.headers, &raw)
        } else {
            tokio::task::block_in_place(|| self.open(source, rules, &parts.headers, &raw))
        };
        // A signature that is right is taken however many were wrong before.
        let delivery = opened.map_err(|refusal| match refusal {
            Refusal::Signature(_) => match self.inner.access.failures().failed(peer) {
                Some(retry_after_s) => Refusal::TooMany { retry_after_s },
                None => refusal,
            },
            other => other,
        })?;
        topic.clone_from(&delivery.topic);
        if let Some(complaint) = parts.headers.get("x-mist-error") {
            tracing::warn!(%source, ?complaint, "the vendor says that the webhook's own headers are wrong");
        }
        Ok(self.inner.pipeline.deliver(delivery).await?)
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
        let limit = self.inner.body_bytes_max;
        let too_long = || Refusal::TooLong { limit };
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(too_long());
        }
        match axum::body::to_bytes(body, limit).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if is_over_limit(&error) => Err(too_long()),
            Err(_) => Err(Refusal::BrokenBody),
        }
    }

    /// Signature, encoding, JSON: in that order.
    fn open(
        &self,
        source: &Arc<str>,
        rules: &SourceRules,
        headers: &HeaderMap,
        raw: &Bytes,
    ) -> Result<crate::model::event::Delivery, Refusal> {
        let received_at = self.inner.clock.now();
        let encoding = headers
            .get(header::CONTENT_ENCODING)
            .map_or("identity".into(), |value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase());
        match encoding.as_str() {
            "identity" | "" => {
                rules.demand.check(headers, raw)?;
                Ok(decode::decode(source, raw, received_at, rules.age_ms_max)?)
            }
            "gzip" | "x-gzip" => {
                // A proxy that compresses on the way leaves the signature of the plain bytes behind; either will do.
                let is_signed_as_sent = rules.demand.check(headers, raw);
                let plain = self.unzip(raw)?;
                if is_signed_as_sent.is_err() {
                    rules.demand.check(headers, &plain)?;
                }
                Ok(decode::decode(source, &plain, received_at, rules.age_ms_max)?)
            }
            _ => Err(Refusal::UnknownEncoding),
        }
    }

    /// Decompresses up to the body limit, so a small body cannot become a huge one.
    fn unzip(&self, raw: &[u8]) -> Result<Vec<u8>, Refusal> {
        let limit = self.inner.body_bytes_max;
        let mut plain = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(raw).take(limit as u64 + 1);
        reader.read_to_end(&mut plain).map_err(|_| Refusal::BrokenEncoding)?;
        if plain.len() > limit {
            return Err(Refusal::TooLong { limit });
        }
        Ok(plain)
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}
