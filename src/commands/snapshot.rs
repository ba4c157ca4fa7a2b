//! `footfall snapshot`: a copy of the file, while the server goes on.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use reqwest::{Method, RequestBuilder};

use super::Server;
use crate::cli::Snapshot;

pub async fn run(args: Snapshot) -> anyhow::Result<()> {
    if args.file.exists() {
        bail!("{} is there already", args.file.display());
    }
    let server = Server::reach(&args.reach).await?;
    let request = server.request(Method::GET, "/v1/snapshot");
    let request = if args.secrets { request.query(&[("secrets", "true")]) } else { request };
    let done = download(&server, request, &args.file).await;
    server.close().await?;
    writeln!(std::io::stdout(), "{}: {}", args.file.display(), HumanBytes(done?))?;
    Ok(())
}

/// Writes an answer to a file, all of it or none; says how long it is.
pub async fn download(server: &Server, request: RequestBuilder, path: &Path) -> anyhow::Result<u64> {
    let mut answer = server.send(request).await?;
    let bar = ProgressBar::new(answer.content_length().unwrap_or(0));
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {bytes}/{total_bytes} eta {eta}")?);
    let partial = path.with_extension("partial");
    let mut file = std::fs::File::create(&partial).with_context(|| format!("write {}", partial.display()))?;
    let mut written = 0;
    while let Some(chunk) = answer.chunk().await.context("the answer broke off")? {
        file.write_all(&chunk).with_context(|| format!("write {}", partial.display()))?;
        written += chunk.len() as u64;
        bar.set_position(written);
    }
    file.sync_all().with_context(|| format!("write {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("write {}", path.display()))?;
    bar.finish_and_clear();
    Ok(written)
}
