//! Answers to SQL as files: a short one whole, a long one sent while it is made, so that it takes no memory for its length.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::Fallible;
use super::encoder::Encoder;
use super::error::ApiError;
use super::table::{self, Form};
use crate::give_up::{GiveUp, Line};
use crate::store::sql::{Piece, SqlError};

/// Bytes that go to the reader at a time, about.
const CHUNK_BYTES: usize = 256 << 10;

/// Chunks that wait for the reader before the question waits, too.
const WAITING: usize = 4;

/// An answer up to here is whole before anything of it is sent: what goes wrong has a status then.
const WHOLE_BYTES: usize = 4 << 20;

const IS_TRUNCATED: HeaderName = HeaderName::from_static("x-is-truncated");

/// Takes pieces of an answer, as long as it says so.
pub type Take<'a> = &'a mut dyn FnMut(Piece) -> bool;

/// Makes a file of what `ask` hands to it. The turn is over when the question is, whether or not the reader goes on.
pub async fn make(
    form: Form,
    give_up: GiveUp,
    turn: OwnedSemaphorePermit,
    ask: impl FnOnce(Take) -> Result<bool, SqlError> + Send + 'static,
    told: impl Fn(SqlError) -> ApiError + Clone + Send + 'static,
) -> Fallible<Response> {
    let late = told.clone();
    let (line, mut parts) = give_up.line(WAITING);
    let making = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        encode(form, line, ask, told)
    });
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    while bytes < WHOLE_BYTES {
        let heard = give_up.heard(parts.recv()).await;
        let Some(chunk) = heard.ok_or_else(|| late(SqlError::Interrupted))? else {
            let is_truncated = if ended(making).await? { "true" } else { "false" };
            let mut response = table::sent(form, "answer", Body::from(chunks.concat()));
            // A file has no other place to say so.
            response.headers_mut().insert(IS_TRUNCATED, HeaderValue::from_static(is_truncated));
            return Ok(response);
        };
        bytes += chunk.len();
        chunks.push(chunk);
    }
    let first = stream::iter(chunks.into_iter().map(Ok));
    // The question is given up with this, when the reader takes no more.
    let rest = stream::unfold(Some((parts, making, give_up)), move |state| {
        let late = late.clone();
        async move {
            let (mut parts, making, give_up) = state?;
            let error = match give_up.heard(parts.recv()).await {
                Some(Some(chunk)) => return Some((Ok(chunk), Some((parts, making, give_up)))),
                Some(None) => ended(making).await.err()?,
                None => late(SqlError::Interrupted),
            };
            // There is no status any more to say it with: the connection ends.
            tracing::warn!(error = &error as &dyn std::error::Error, "a file ended before its end");
            Some((Err(io::Error::other(error)), None))
        }
    });
    Ok(table::sent(form, "answer", Body::from_stream(first.chain(rest))))
}

/// Whether there were more rows; a file that no thread brought to its end is not whole.
async fn ended(making: JoinHandle<Fallible<bool>>) -> Fallible<bool> {
    making.await.map_err(|_| ApiError::Stopped)?
}

fn encode(
    form: Form,
    mut line: Line<Bytes>,
    ask: impl FnOnce(Take) -> Result<bool, SqlError>,
    told: impl Fn(SqlError) -> ApiError,
) -> Fallible<bool> {
    let mut send = |bytes: Vec<u8>| if line.send(bytes.into()) { Ok(()) } else { Err(told(SqlError::Interrupted)) };
    let mut encoder = None;
    let mut problem = None;
    let mut write = |piece: Piece| -> Fallible<()> {
        match (piece, &mut encoder) {
            (Piece::Schema(schema), _) => encoder = Some(Encoder::new(form, &schema)?),
            (Piece::Rows(batch), Some(encoder)) => {
                encoder.write(&batch)?;
                if encoder.ready() >= CHUNK_BYTES {
                    send(encoder.take())?;
                }
            }
            (Piece::Rows(_), None) => return Err(ApiError::Stopped),
        }
        Ok(())
    };
    let asked = ask(&mut |piece| {
        problem = write(piece).err();
        problem.is_none()
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    let is_truncated = asked.map_err(&told)?;
    send(encoder.ok_or(ApiError::Stopped)?.finish()?)?;
    Ok(is_truncated)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::sql::Interrupt;

    #[tokio::test]
    async fn a_file_whose_thread_panics_breaks_off() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let numbers = Int64Array::from(vec![7; WHOLE_BYTES / 8]);
        let ask = move |take: Take| {
            take(Piece::Schema(schema.clone()));
            take(Piece::Rows(RecordBatch::try_new(schema, vec![Arc::new(numbers)]).unwrap()));
            panic!("as some do")
        };
        let interrupt = Arc::new(Interrupt::default());
        let give_up = GiveUp::after(Duration::from_secs(60), std::future::pending(), &interrupt);
        let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let response = make(Form::Arrow, give_up, turn, ask, |_| ApiError::Stopped).await.unwrap();
        assert!(axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err());
    }
}
