//! An HTTP endpoint that behaves as told: it answers, dawdles, breaks off, or is not there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done with one request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    Answer(u16),
    /// An answer with one more header line.
    AnswerWith(u16, String),
    /// 200 after a while.
    Slow(Duration),
    /// Reads the request, then resets the connection.
    Reset,
    /// Half an answer, then the end.
    Break,
    /// Never answers.
    Hang,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether it was answered with 2xx.
    pub was_taken: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub struct Listener {
    pub url: String,
    address: SocketAddr,
    state: Arc<State>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    behaviours: Mutex<VecDeque<Behaviour>>,
    received: Mutex<Vec<Received>>,
}

impl Listener {
    /// One that answers 200 once it has behaved in all these ways.
    pub async fn start(behaviours: impl IntoIterator<Item = Behaviour>) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { behaviours: Mutex::new(behaviours.into_iter().collect()), ..State::default() });
        let serving = Mutex::new(Some(tokio::spawn(serve(listener, state.clone()))));
        Listener { url: format!("http://{address}/hook"), address, state, serving }
    }

    /// Everything that came.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// What it has taken, the first of each id, in order.
    pub fn taken(&self) -> Vec<Received> {
        let mut seen = std::collections::HashSet::new();
        let taken = self.received().into_iter().filter(|request| request.was_taken);
        taken.filter(|request| seen.insert(request.header("webhook-id").to_owned())).collect()
    }

    /// Waits until so many different messages are taken.
    pub async fn wait_for(&self, messages: usize) -> Vec<Received> {
        let since = footfall::clock::stopwatch();
        loop {
            let taken = self.taken();
            if taken.len() >= messages {
                return taken;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "{} of {messages} messages came", taken.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Refuses connections until [`Listener::come_back`].
    pub async fn go_away(&self) {
        let serving = self.serving.lock().unwrap().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    pub async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.serving.lock().unwrap() = Some(tokio::spawn(serve(listener, self.state.clone())));
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // What breaks off is what is tested.
        tokio::spawn(answer(stream, state.clone()));
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let behaviour = state.behaviours.lock().unwrap().pop_front().unwrap_or(Behaviour::Answer(200));
    let was_taken = match &behaviour {
        Behaviour::Answer(status) | Behaviour::AnswerWith(status, _) => (200..300).contains(status),
        Behaviour::Slow(_) => true,
        Behaviour::Reset | Behaviour::Break | Behaviour::Hang => false,
    };
    if let Behaviour::Slow(pause) = &behaviour {
        tokio::time::sleep(*pause).await;
    }
    state.received.lock().unwrap().push(Received { headers, body, was_taken });
    let whole = |status: u16, header: &str| {
        format!("HTTP/1.1 {status} Said\r\n{header}content-length: 5\r\nconnection: close\r\n\r\nheard")
    };
    let text = match behaviour {
        Behaviour::Answer(status) => whole(status, ""),
        Behaviour::AnswerWith(status, header) => whole(status, &format!("{header}\r\n")),
        Behaviour::Slow(_) => whole(200, ""),
        Behaviour::Break => "HTTP/1.1 20".into(),
        Behaviour::Reset => {
            stream.set_zero_linger().ok()?;
            return None;
        }
        Behaviour::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return None;
        }
    };
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
