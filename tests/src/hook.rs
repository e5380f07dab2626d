//! A receiver of HTTP that may keep its answers to itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;
use tokio::net::TcpListener;

use crate::raw;

/// A request that a [`Hook`] took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Taken {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// A running server that keeps what it is sent, and hands it on if it stands in front of another. It ends with the test's runtime.
#[derive(Debug)]
pub struct Hook {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behind: Option<SocketAddr>,
    taken: Mutex<Vec<Taken>>,
    is_silent: AtomicBool,
}

impl Hook {
    /// One that answers with success, or with what the server behind it answers.
    pub async fn start(behind: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { behind, taken: Mutex::default(), is_silent: AtomicBool::new(false) });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("an HTTP server") });
        Self { address, shared }
    }

    /// Whether it takes requests without answering, as one that hangs.
    pub fn set_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// What it took, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().expect("no panics in here").clone()
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = match shared.behind {
        Some(behind) => {
            raw::post(behind, uri.path(), &[("content-type", "application/json")], body.clone()).await.status
        }
        None => StatusCode::OK,
    };
    shared.taken.lock().expect("no panics in here").push(Taken { headers, body });
    if shared.is_silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    status
}
