//! The PostgreSQL wire protocol, version 3: psql, Grafana and BI tools ask the views as they would ask a PostgreSQL
//! server's tables. They only read.
//!
//! Whoever connects may ask what `POST /v1/sql` may, through the same guard. Transactions can be opened and ended, and do
//! nothing: each statement sees what was committed when it began.

mod login;
mod session;
mod statement;
mod values;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use pgwire::api::{ClientInfo, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::TlsAcceptor;
use pgwire::tokio::server::{MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::codec::{Framed, FramedParts};

use crate::access::Access;
use crate::store::{Store, StoreError};
use crate::tls::{Tls, TlsError};
use session::{Prepared, Session};

/// How PostgreSQL clients are served.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// Passwords by user; when empty, whoever reaches the address may ask.
    pub users: BTreeMap<String, String>,
    /// PEM files of the certificates and of the key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Refuse who does not speak TLS.
    pub is_tls_required: bool,
    pub connections_max: usize,
    /// From a statement's start until its last row is taken.
    pub statement_timeout: Duration,
    /// Rows that one statement may give.
    pub rows_max: usize,
}

/// Why nobody is served.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("speak TLS")]
    Tls(#[from] TlsError),
    #[error("describe the views")]
    Store(#[from] StoreError),
}

/// How long a client may take to say who it is.
const LOGIN_WAIT: Duration = Duration::from_secs(10);

/// Bytes that one message may have, before and after its sender has said who it is.
const STRANGER_BYTES: usize = 32 << 10;
const MESSAGE_BYTES: usize = 4 << 20;

/// How often it is looked whether a client that waits for its answer has gone.
const GONE_EVERY: Duration = Duration::from_millis(100);

/// A server for PostgreSQL clients, which listens.
pub struct Postgres {
    listener: TcpListener,
    tls: Option<Tls>,
    session: Arc<Session>,
    connections: Arc<Semaphore>,
}

impl Postgres {
    /// Describes the views and binds the address. `turns` are the statements that are asked at a time; `access` knows who
    /// failed to log in, here or elsewhere.
    pub async fn bind(
        options: &Options,
        store: Store,
        turns: Arc<Semaphore>,
        access: Access,
    ) -> Result<Postgres, PostgresError> {
        let tls = options
            .tls
            .as_ref()
            .map(|(certificates, key)| Tls::load(certificates, key, &["postgresql"]))
            .transpose()?;
        let listener =
            TcpListener::bind(options.listen).await.map_err(|error| PostgresError::Listen(options.listen, error))?;
        let session = Arc::new(Session::new(options, store, turns, access)?);
        Ok(Postgres { listener, tls, session, connections: Arc::new(Semaphore::new(options.connections_max)) })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stopping` says so; statements that are being answered then are given up.
    pub async fn serve(self, mut stopping: watch::Receiver<bool>) {
        let mut conversations = JoinSet::new();
        while !*stopping.borrow() {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = conversations.join_next(), if !conversations.is_empty() => continue,
                _ = stopping.changed() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file handles, mostly: others have to leave first.
                    tracing::warn!(error = &error as &dyn std::error::Error, "a PostgreSQL client could not be taken");
                    tokio::time::sleep(GONE_EVERY).await;
                    continue;
                }
            };
            // One too many is hung up on: it can say nothing before it has a place.
            let Ok(place) = self.connections.clone().try_acquire_owned() else { continue };
            let (tls, session) = (self.tls.as_ref().map(Tls::acceptor), self.session.clone());
            conversations.spawn(async move {
                let _place = place;
                if let Err(error) = converse(stream, tls, session).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a PostgreSQL client's connection broke");
                }
            });
        }
        conversations.shutdown().await;
    }
}

/// Takes messages until the client leaves.
async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, session: Arc<Session>) -> io::Result<()> {
    let watcher = watcher(&stream)?;
    let login_ends = tokio::time::Instant::now() + LOGIN_WAIT;
    let Ok(negotiated) = timeout(LOGIN_WAIT, negotiate_tls::<Prepared>(stream, tls)).await else { return Ok(()) };
    let Some(socket) = negotiated? else { return Ok(()) };
    let old = socket.into_parts();
    let mut parts = FramedParts::new(Metered { io: old.io, left: STRANGER_BYTES }, old.codec);
    (parts.read_buf, parts.write_buf) = (old.read_buf, old.write_buf);
    let mut socket: Framed<Metered, PgWireMessageServerCodec<Prepared>> = Framed::from_parts(parts);
    let none = Arc::new(NoopHandler);
    loop {
        let is_stranger = matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup | PgWireConnectionState::AuthenticationInProgress
        );
        socket.get_mut().left = if is_stranger { STRANGER_BYTES } else { MESSAGE_BYTES };
        // The library's decoders panic where a message ends before it should.
        let read = AssertUnwindSafe(socket.next()).catch_unwind();
        let read = match is_stranger {
            true => tokio::time::timeout_at(login_ends, read).await.unwrap_or(Ok(None)),
            false => read.await,
        };
        let Ok(message) = read else {
            let told = ErrorInfo::new("FATAL".into(), "08P01".into(), "the message cannot be read".into());
            return hang_up(&mut socket, PgWireError::UserError(Box::new(told))).await;
        };
        let Some(message) = message else { return Ok(()) };
        let message = match message {
            Ok(message) => message,
            // Where the next message begins is not known any more.
            Err(error) => return hang_up(&mut socket, error).await,
        };
        if matches!(message, PgWireFrontendMessage::Terminate(_)) {
            return Ok(());
        }
        let is_cancel = matches!(message, PgWireFrontendMessage::CancelRequest(_));
        let is_extended = message.is_extended_query();
        let (a, b, c) = (session.clone(), session.clone(), session.clone());
        let done = tokio::select! {
            done = process_message(message, &mut socket, a, b, c, none.clone(), session.clone()) => done,
            // What is being asked is given up with its future.
            () = gone(&watcher), if !is_stranger => return Ok(()),
        };
        if let Err(error) = done {
            // The library would let anybody go on as if they had logged in.
            if is_stranger {
                return hang_up(&mut socket, error).await;
            }
            let is_fatal = error.is_fatal();
            process_error(&mut socket, error, is_extended).await?;
            if is_fatal {
                return Ok(());
            }
        }
        if is_cancel {
            return Ok(());
        }
    }
}

/// Says why, and no more.
async fn hang_up<S>(socket: &mut Framed<Metered, PgWireMessageServerCodec<S>>, error: PgWireError) -> io::Result<()> {
    let mut info = ErrorInfo::from(error);
    info.severity = "FATAL".into();
    socket.send(PgWireBackendMessage::ErrorResponse(info.into())).await?;
    socket.close().await
}

/// The same connection once more, to watch it while the first waits for an answer.
fn watcher(stream: &TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd;
    let fd = stream.as_fd().try_clone_to_owned()?;
    TcpStream::from_std(fd.into())
}

/// Resolves when the client has closed its side.
async fn gone(watcher: &TcpStream) {
    loop {
        match watcher.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => tokio::time::sleep(GONE_EVERY).await,
            _ => return,
        }
    }
}

/// Reads no more than is left, which is set anew for each message: a length that a client says is not believed.
struct Metered {
    io: MaybeTls,
    left: usize,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("a message is longer than is taken")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
