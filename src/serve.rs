//! Connections in: one loop takes them, with TLS where it is configured, and each has its limits. Nobody holds a connection
//! who says nothing, says it too slowly, or does not read the answer.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::telemetry::Metrics;
use crate::tls::Tls;

/// What connections may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; one more is hung up on.
    pub connections_max: usize,
    /// For the TLS handshake and for the head of a request, which also ends a connection that is kept open and idle.
    pub head_timeout: Duration,
    /// For the peer to take a piece of the answer.
    pub write_timeout: Duration,
    /// Answers that are under way may take so long once the server is to stop.
    pub stop_wait: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Less than whoever stops it waits before it is killed.
pub const STOP_WAIT: Duration = Duration::from_secs(30);

/// A pause after a connection that could not be taken: out of file handles, mostly, and others have to leave first.
const TAKE_AGAIN: Duration = Duration::from_millis(100);

/// Requests of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 100;

/// Serves until `stopping` says so, then lets what is being answered come to its end, or breaks it off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: Limits,
    metrics: Metrics,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    let http = Arc::new(Http::new(&limits));
    let (unbroken, broken_off) = watch::channel(());
    while !*stopping.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be taken");
                tokio::time::sleep(TAKE_AGAIN).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics.connections_refused.inc();
            continue;
        };
        let connection = Connection { http: http.clone(), router: router.clone(), peer, watcher: graceful.watcher() };
        let (tls, limits, metrics) = (tls.clone(), limits.clone(), metrics.clone());
        let mut broken_off = broken_off.clone();
        tokio::spawn(async move {
            let _place = place;
            metrics.connections.inc();
            tokio::select! {
                () = connection.answer(stream, tls, &limits) => {}
                _ = broken_off.changed() => {}
            }
            metrics.connections.dec();
        });
    }
    drop(listener);
    if timeout(limits.stop_wait, graceful.shutdown()).await.is_err() {
        tracing::warn!("some answers had not come to their end and were broken off");
    }
    // They hold what the server has to let go of before it ends.
    drop(unbroken);
}

/// How each version is spoken. Which one, TLS has agreed upon; it is never guessed from the first bytes, for which nobody
/// would stop waiting.
struct Http {
    one: Builder<TokioExecutor>,
    two: Builder<TokioExecutor>,
}

impl Http {
    fn new(limits: &Limits) -> Http {
        let mut one = Builder::new(TokioExecutor::new()).http1_only();
        one.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
        let mut two = Builder::new(TokioExecutor::new()).http2_only();
        two.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .keep_alive_interval(limits.head_timeout)
            .keep_alive_timeout(limits.head_timeout);
        Http { one, two }
    }
}

struct Connection {
    http: Arc<Http>,
    router: Router,
    peer: SocketAddr,
    watcher: Watcher,
}

impl Connection {
    async fn answer(self, stream: TcpStream, tls: Option<Tls>, limits: &Limits) {
        // Answers are written whole; there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.converse(stream, false, limits).await,
            Some(tls) => match timeout(limits.head_timeout, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => {
                    let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.converse(stream, is_two, limits).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(peer = %self.peer, error = &error as &dyn std::error::Error, "no TLS");
                }
                Err(_) => {}
            },
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Send + 'static>(self, stream: S, is_two: bool, limits: &Limits) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.write_timeout));
        let io = TokioIo::new(Box::pin(stream) as Pin<Box<TimeoutStream<S>>>);
        let trusted = limits.trusted_proxies.clone();
        let (router, peer) = (TowerToHyperService::new(self.router), self.peer);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let peer = SocketAddr::new(sender(peer.ip(), request.headers(), &trusted), peer.port());
            request.extensions_mut().insert(ConnectInfo(peer));
            router.call(request)
        });
        let http = if is_two { &self.http.two } else { &self.http.one };
        let connection = http.serve_connection(io, service);
        // A peer that hangs up, or is hung up on, is no matter for the log.
        if let Err(error) = self.watcher.watch(connection.into_owned()).await {
            tracing::debug!(peer = %self.peer, error, "a connection broke");
        }
    }
}

/// Who sent a request: the peer, or the last address that trusted proxies were told of which is not one of them.
fn sender(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let mut sender = peer;
    let told = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.flat_map(|list| list.split(',')).map(str::trim).collect();
    for address in told.into_iter().rev() {
        // What no proxy would write was not written by one.
        let (true, Ok(address)) = (is_trusted(sender), address.parse()) else { break };
        sender = address;
    }
    sender
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_broken_off_when_the_server_stops() {
        let limits = Limits {
            connections_max: 1,
            head_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            stop_wait: Duration::from_millis(100),
            trusted_proxies: Vec::new(),
        };
        let (begun, mut answering) = tokio::sync::mpsc::channel(1);
        let endless = move || async move {
            begun.send(()).await.unwrap();
            std::future::pending::<()>().await;
            drop(begun);
        };
        let router = Router::new().route("/", axum::routing::get(endless));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, router, None, limits, Metrics::new(), stopping));
        peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        answering.recv().await.unwrap();
        stop.send_replace(true);
        serving.await.unwrap();
        let ended = timeout(Duration::from_secs(10), answering.recv()).await;
        assert_eq!(ended.expect("nothing holds on to it"), None);
    }

    #[test]
    fn only_proxies_that_are_trusted_say_who_sent_it() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, told: &str| {
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), told.parse().unwrap())]);
            sender(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(of("10.0.0.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(of("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2"), "1.2.3.4");
        assert_eq!(of("9.9.9.9", "1.2.3.4"), "9.9.9.9");
        assert_eq!(of("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(sender("10.0.0.1".parse().unwrap(), &HeaderMap::new(), &trusted).to_string(), "10.0.0.1");
    }
}
