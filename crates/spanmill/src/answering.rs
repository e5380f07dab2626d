//! The servers that answer questions: health and API, and `/metrics`. They end last.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use receive::{Credentials, Limits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Readiness};
use crate::applier::SharedPipeline;
use crate::config::access::Tls;
use crate::config::exporters::PrometheusExporter;
use crate::config::sections;
use crate::failure::Failure;
use crate::files;
use crate::server::{current_metrics, told};
use crate::telemetry::Telemetry;

/// How long scrapes and admin requests may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// People, probes and scrapers, not applications.
const MAX_CONNECTIONS: usize = 256;

/// Those that run. Dropped, they are cut off.
#[derive(Debug)]
pub(crate) struct Answering {
    stop: watch::Sender<bool>,
    servers: JoinSet<std::io::Result<()>>,
}

impl Answering {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), servers: JoinSet::new() }
    }

    /// Health and API.
    pub(crate) fn admin(
        &mut self,
        listener: TcpListener,
        config: &sections::Admin,
        readiness: Readiness,
    ) -> Result<(), Failure> {
        let settings = console::Settings { trace_link: config.trace_link.clone() };
        let callers = Callers::new(&listener, config.auth.credentials()?.for_people());
        let router = admin::router(readiness, callers, settings);
        self.serve(listener, config.tls.as_ref(), router)
    }

    /// `/metrics`.
    pub(crate) fn prometheus(
        &mut self,
        listener: TcpListener,
        config: &PrometheusExporter,
        target: Vec<KeyValue>,
        pipeline: &SharedPipeline,
        telemetry: &Telemetry,
    ) -> Result<(), Failure> {
        let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
        let source = move || {
            let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
            async move { current_metrics(pipeline, telemetry).await }
        };
        let router = export::prometheus::router(target, source);
        let callers = Callers::new(&listener, config.auth.credentials()?);
        self.serve(listener, config.tls.as_ref(), callers.guard(router))
    }

    /// Answers until the end, under the limits that the receivers have for connections.
    fn serve(&mut self, listener: TcpListener, tls: Option<&Tls>, router: Router) -> Result<(), Failure> {
        let tls = tls.map(Tls::load).transpose()?;
        let limits = Limits { max_connections: files::connections(MAX_CONNECTIONS), ..Limits::default() };
        let (service, shutdown) = (TowerToHyperService::new(router), told(self.stop.subscribe()));
        self.servers.spawn(async move {
            let served = receive::serve_http(listener, tls, limits, service, shutdown, GRACE).await;
            served.map_err(std::io::Error::other)
        });
        Ok(())
    }

    /// Finishes what is being answered.
    pub(crate) async fn end(mut self) {
        self.stop.send_replace(true);
        let answered = async { while self.servers.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, answered).await.is_err() {
            tracing::warn!("scrapes or admin requests were cut off");
        }
    }
}

/// Who may ask.
#[derive(Debug)]
pub(crate) struct Callers {
    credentials: Credentials,
    own_names_only: bool,
}

impl Callers {
    fn new(listener: &TcpListener, credentials: Credentials) -> Self {
        Self { own_names_only: receive::own_names_only(listener, &credentials), credentials }
    }

    /// Answers nobody else.
    pub(crate) fn guard(self, router: Router) -> Router {
        let router = router.layer(from_fn_with_state(self.credentials, authenticate));
        if self.own_names_only { router.layer(from_fn(refuse_other_names)) } else { router }
    }
}

/// Refuses a request under a name that others may have given to this machine.
async fn refuse_other_names(request: Request, next: Next) -> Response {
    if receive::is_called_by_own_name(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    refused(request.uri().path(), StatusCode::FORBIDDEN, &receive::Refusal::OtherName)
}

/// Refuses whoever does not show credentials that are asked for.
async fn authenticate(State(credentials): State<Credentials>, request: Request, next: Next) -> Response {
    let Err(refusal) = credentials.check(request.headers()).await else { return next.run(request).await };
    let mut response = refused(request.uri().path(), refusal.http_status(), &refusal);
    let headers = response.headers_mut();
    for (name, value) in refusal.json_response().headers() {
        if *name == WWW_AUTHENTICATE || *name == RETRY_AFTER {
            headers.insert(name, value.clone());
        }
    }
    if headers.contains_key(WWW_AUTHENTICATE) && credentials.can_be_typed() {
        // In place of that of tokens, for which browsers have no prompt.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"spanmill\""));
    }
    response
}

/// Programs are told as RFC 9457 wants it, people in a line.
fn refused(path: &str, status: StatusCode, refusal: &receive::Refusal) -> Response {
    if path.starts_with("/api/") {
        return console::Problem::new(status, refusal.to_string()).into_response();
    }
    (status, format!("{refusal}\n")).into_response()
}
