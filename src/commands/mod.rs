//! Commands that ask a server: one that runs, or one of their own over a stopped server's file.

pub mod access;
pub mod export;
pub mod import;
pub mod rebuild;
pub mod snapshot;
pub mod sql;

use std::path::Path;

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::cli::Reach;
use crate::clock::Clock;
use crate::config::Config;

/// A server to ask.
pub struct Server {
    client: reqwest::Client,
    base: String,
    own: Option<Own>,
    token: Option<String>,
}

/// A server of the command's own, on a free port of the loopback interface.
struct Own {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    pub async fn reach(reach: &Reach) -> anyhow::Result<Server> {
        if let Some(store) = reach.store.as_ref().filter(|store| !store.is_file()) {
            bail!("there is no file {}", store.display());
        }
        Server::reach_or_make(reach).await
    }

    /// The same, but a file that is not there is made: for what comes before the first start.
    pub async fn reach_or_make(reach: &Reach) -> anyhow::Result<Server> {
        // A rebuild of a large file may keep one answer waiting for long, so there is no time limit.
        let client = reqwest::Client::new();
        let Some(store) = &reach.store else {
            let base = reach.url.trim_end_matches('/').to_owned();
            return Ok(Server { client, base, own: None, token: reach.token.clone() });
        };
        let app = open(store, reach.config.as_deref()).await?;
        let base = format!("http://{}", app.address()?);
        let token = Some(app.access.own_token());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        Ok(Server { client, base, own: Some(Own { stop, serving }), token })
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer to a request; one that is an error is told with all its faults.
    pub async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        self.send(request).await?.json().await.context("the server's answer is not JSON")
    }

    /// The same, of any sort.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("no server answers at {}: start one, or name its file with --store", self.base))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        bail!(told(&answer.json().await.context("the server's answer is not JSON")?))
    }

    /// Ends the command's own server, its work committed.
    pub async fn close(self) -> anyhow::Result<()> {
        match self.own {
            Some(Own { stop, serving }) => {
                let _ = stop.send(());
                serving.await?
            }
            None => Ok(()),
        }
    }
}

async fn open(store: &Path, config: Option<&Path>) -> anyhow::Result<App> {
    let mut config = Config::load(config).context("configuration")?;
    config.store.path = store.to_owned();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    // Whoever looks into a file, or into a copy of it, must not call anybody.
    config.callbacks.deliver = false;
    config.privacy.is_only_read = true;
    // The command has a token of its own; nobody else on this machine has to do with it.
    config.access.required = true;
    config.postgres.listen = None;
    App::start(&config, Clock::System).await.context("open the file; if a server runs on it, leave --store out")
}

/// A problem as lines: what is wrong, then each fault with its file and place.
fn told(problem: &Value) -> String {
    let mut lines = vec![problem["detail"].as_str().map_or_else(|| problem.to_string(), str::to_owned)];
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let text = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
        let file = fault["file"].as_str().map(|file| format!("{file}: ")).unwrap_or_default();
        lines.push(format!("  {file}{}: {}", text("place"), text("reason")));
    }
    lines.join("\n")
}
