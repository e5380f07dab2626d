//! The endpoint as a scraper sees it, over a real connection.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn one_gauge() -> Arc<ExportMetricsServiceRequest> {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(7)), ..Default::default() };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: "up.there".to_owned(), data, ..Default::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
    Arc::new(ExportMetricsServiceRequest { resource_metrics })
}

async fn ask(request: http::Request<Empty<Bytes>>) -> (http::response::Parts, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    (head, body.collect().await.unwrap().to_bytes())
}

// GET /metrics answers in the format and encoding asked for; other paths and methods are refused.
#[tokio::test]
async fn scrapes_are_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue("spanmill".to_owned())) });
    let target = vec![KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() }];
    let router = router(target, || async { one_gauge() });
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let request = |method: &str, path: &str| http::Request::builder().method(method).uri(format!("{base}{path}"));

    let (head, body) = ask(request("GET", "/metrics").body(Empty::new()).unwrap()).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.headers[CONTENT_TYPE], Format::PrometheusText.content_type());
    let info =
        "# HELP target_info What is scraped here\n# TYPE target_info gauge\ntarget_info{service_name=\"spanmill\"} 1\n";
    assert_eq!(body, format!("{info}# TYPE up_there gauge\nup_there 7\n"));

    let scrape = request("GET", "/metrics")
        .header(ACCEPT, "application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.2")
        .header(ACCEPT_ENCODING, "deflate, gzip");
    let (head, body) = ask(scrape.body(Empty::new()).unwrap()).await;
    assert_eq!(head.headers[CONTENT_TYPE], Format::OpenMetrics.content_type());
    assert_eq!(head.headers[CONTENT_ENCODING], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    let info = "# HELP target What is scraped here\n# TYPE target info\ntarget_info{service_name=\"spanmill\"} 1\n";
    assert_eq!(text, format!("{info}# TYPE up_there gauge\nup_there 7\n# EOF\n"));

    assert_eq!(ask(request("GET", "/").body(Empty::new()).unwrap()).await.0.status, 404);
    assert_eq!(ask(request("POST", "/metrics").body(Empty::new()).unwrap()).await.0.status, 405);
    server.abort();
}

// `gzip;q=0` is a refusal.
#[test]
fn gzip_is_negotiated() {
    for (header, accepted) in
        [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
    {
        assert_eq!(accepts_gzip(header), accepted, "{header}");
    }
}

// Pages that nobody reads are few: who asks for another waits until one of them is sent, its client is gone, or it was not read in time.
#[tokio::test]
async fn unread_pages_are_few() {
    let quickly = Duration::from_millis(600);
    for (read_within, leaves) in [(READ_WITHIN, true), (quickly, false)] {
        unread(read_within, leaves).await;
    }
}

async fn unread(read_within: Duration, leaves: bool) {
    let metric = |number: u32| {
        let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(7)), ..Default::default() };
        let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: format!("gauge.{number}"), description: "x".repeat(4_000), data, ..Default::default() }
    };
    // More than sockets take: some 8 MB.
    let scope_metrics = vec![ScopeMetrics { metrics: (0..2_000).map(metric).collect(), ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
    let large = Arc::new(ExportMetricsServiceRequest { resource_metrics });
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let source = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let large = Arc::clone(&large);
        async move { large }
    };
    let router = limited(Vec::new(), source, read_within);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let mut clients = Vec::new();
    for _ in 0..PAGES {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        client.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        clients.push(client);
    }
    let request = http::Request::get(format!("http://{address}/metrics")).body(Empty::new()).unwrap();
    let mut another = std::pin::pin!(ask(request));
    let waits = tokio::time::timeout(Duration::from_millis(200), &mut another).await;
    assert!(waits.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), PAGES, "another page was made");
    if leaves {
        drop(clients.pop());
    }
    assert_eq!(another.await.0.status, 200);
    server.abort();
}

// A page that breaks off is told from one that has ended.
#[tokio::test]
async fn a_broken_page_is_no_page() {
    for end in [None, Some(Chunk::End)] {
        let (sender, chunks) = mpsc::channel(2);
        sender.try_send(Chunk::Text(Bytes::from_static(b"up 7"))).ok().unwrap();
        let is_whole = end.is_some();
        end.into_iter().for_each(|end| sender.try_send(end).ok().unwrap());
        drop(sender);
        let page = PageBody { chunks, is_whole: false }.collect().await.map(|page| page.to_bytes());
        assert_eq!(page.ok(), is_whole.then(|| Bytes::from_static(b"up 7")));
    }
}
