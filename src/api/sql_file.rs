//! Answers to SQL as files: a short one whole, a long one sent while it is made, so that it takes no memory for its length.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::Fallible;
use super::encoder::Encoder;
use super::error::ApiError;
use super::sql::GiveUp;
use super::table::{self, Form};
use crate::store::sql::Piece;

/// Bytes that go to the reader at a time, about.
const CHUNK_BYTES: usize = 256 << 10;

/// Chunks that wait for the reader before the question waits, too.
const WAITING: usize = 4;

/// An answer up to here is whole before anything of it is sent: what goes wrong has a status then.
const WHOLE_BYTES: usize = 4 << 20;

const IS_TRUNCATED: HeaderName = HeaderName::from_static("x-is-truncated");

enum Part {
    Chunk(Bytes),
    /// Comes last.
    End {
        is_truncated: bool,
    },
}

/// Takes pieces of an answer, as long as it says so.
pub type Take<'a> = &'a mut dyn FnMut(Piece) -> bool;

/// Makes a file of what `ask` hands to it. The turn is over when the question is.
pub async fn make(
    form: Form,
    give_up: GiveUp,
    turn: OwnedSemaphorePermit,
    ask: impl FnOnce(Take) -> Fallible<bool> + Send + 'static,
) -> Fallible<Response> {
    let (hand, mut parts) = mpsc::channel::<Fallible<Part>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let ended = encode(form, &hand, ask);
        drop(turn);
        // Nobody may wait for it any more.
        let _ = hand.blocking_send(ended);
    });
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    while bytes < WHOLE_BYTES {
        match parts.recv().await.ok_or(ApiError::Stopped)?? {
            Part::Chunk(chunk) => {
                bytes += chunk.len();
                chunks.push(chunk);
            }
            Part::End { is_truncated } => {
                let mut response = table::sent(form, "answer", Body::from(chunks.concat()));
                // A file has no other place to say so.
                let is_truncated = HeaderValue::from_static(if is_truncated { "true" } else { "false" });
                response.headers_mut().insert(IS_TRUNCATED, is_truncated);
                return Ok(response);
            }
        }
    }
    let first = stream::iter(chunks.into_iter().map(Ok));
    let rest = ReceiverStream::new(parts).filter_map(move |part| {
        // As long as the reader takes more.
        let _give_up = &give_up;
        let chunk = match part {
            Ok(Part::Chunk(chunk)) => Some(Ok(chunk)),
            Ok(Part::End { .. }) => None,
            // There is no status any more to say it with: the connection ends.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a file ended before its end");
                Some(Err(io::Error::other(error)))
            }
        };
        std::future::ready(chunk)
    });
    Ok(table::sent(form, "answer", Body::from_stream(first.chain(rest))))
}

fn encode(form: Form, hand: &mpsc::Sender<Fallible<Part>>, ask: impl FnOnce(Take) -> Fallible<bool>) -> Fallible<Part> {
    let mut encoder = None;
    let mut problem = None;
    let mut write = |piece: Piece| -> Fallible<()> {
        match (piece, &mut encoder) {
            (Piece::Schema(schema), _) => encoder = Some(Encoder::new(form, &schema)?),
            (Piece::Rows(batch), Some(encoder)) => {
                encoder.write(&batch)?;
                if encoder.ready() >= CHUNK_BYTES {
                    let chunk = Part::Chunk(encoder.take().into());
                    hand.blocking_send(Ok(chunk)).map_err(|_| ApiError::Stopped)?;
                }
            }
            (Piece::Rows(_), None) => return Err(ApiError::Stopped),
        }
        Ok(())
    };
    let is_truncated = ask(&mut |piece| {
        problem = write(piece).err();
        problem.is_none()
    })?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let rest = encoder.ok_or(ApiError::Stopped)?.finish()?;
    hand.blocking_send(Ok(Part::Chunk(rest.into()))).map_err(|_| ApiError::Stopped)?;
    Ok(Part::End { is_truncated })
}
