//! What tests tell, and whom: servers on this machine.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use monitor::{Incident, Notification, NotificationKind, SECOND, Severity};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

pub(crate) fn meter() -> Meter {
    SdkMeterProvider::builder().build().meter("test")
}

/// What is told at a time of its own: 2026-09-21T14:13:20Z.
pub(crate) fn notification(kind: NotificationKind, number: u32) -> Notification {
    let at = 1_790_000_000 * SECOND;
    let incident = Incident {
        alert: "errors".to_owned(),
        monitor: "chat".to_owned(),
        severity: Severity::Critical,
        since: at - 20 * SECOND,
        fired: at - 10 * SECOND,
        resolved: None,
        value: 0.5,
        threshold: 0.1,
        told: Some(at),
        notifications: number,
    };
    Notification { id: format!("{}#{number}", incident.id()), kind, at, incident, value: Some(0.25) }
}

/// The same, just now.
pub(crate) fn notification_now(kind: NotificationKind, number: u32) -> Notification {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut told = notification(kind, number);
    told.at = now;
    (told.incident.since, told.incident.fired) = (now - 20 * SECOND, now - 10 * SECOND);
    told.id = format!("{}#{number}", told.incident.id());
    told
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

/// A server that answers with what it was given, in order, and then with 200.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Its URL, and what it receives.
    pub(crate) async fn start(answers: &[(u16, &'static str)]) -> (String, Self) {
        let server = Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(Self::take).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, server)
    }

    async fn take(State(server): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        server.received.lock().unwrap().push(Received { path: uri.path().to_owned(), headers, body });
        let mut answers = server.answers.lock().unwrap();
        let (status, body) = if answers.is_empty() { (200, "") } else { answers.remove(0) };
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub(crate) async fn wait_for(&self, number: usize) -> Vec<Received> {
        eventually(&format!("{number} requests"), || Some(self.received()).filter(|all| all.len() >= number)).await
    }
}

/// Asks again and again, for twenty seconds.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
