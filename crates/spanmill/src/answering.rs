//! The servers that answer questions: health and API, and `/metrics`. They end last.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Readiness};
use crate::applier::SharedPipeline;
use crate::config::access::Tls;
use crate::config::sections;
use crate::failure::Failure;
use crate::server::{current_metrics, told};
use crate::telemetry::Telemetry;

/// How long scrapes and admin requests may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);

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
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let settings = console::Settings { trace_link: config.trace_link.clone() };
        let router = admin::router(readiness, config.auth.credentials()?, settings);
        self.servers.spawn(admin::serve(listener, tls, router, told(self.stop.subscribe()), GRACE));
        Ok(())
    }

    /// `/metrics`, if it is asked for.
    pub(crate) fn prometheus(
        &mut self,
        listener: Option<TcpListener>,
        target: Vec<KeyValue>,
        pipeline: &SharedPipeline,
        telemetry: &Telemetry,
    ) {
        let Some(listener) = listener else { return };
        let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
        let source = move || {
            let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
            async move { current_metrics(pipeline, telemetry).await }
        };
        self.servers.spawn(export::prometheus::serve(listener, target, source, told(self.stop.subscribe())));
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
