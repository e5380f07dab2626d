//! What can be written, and what it means.

use super::*;
use crate::config::sections::Semconv;

// Guarantees that the annotated file says what the code does.
#[test]
fn the_annotated_file_is_the_default() {
    let loaded = load(include_str!("../../../../../config/spanmill.yaml")).unwrap();
    assert_eq!((loaded.config, loaded.warnings.len()), (Config::default(), 0));
}

// Guarantees that the example in the annotated file's comments works, with the defaults it claims.
#[test]
fn the_annotated_example_is_supported() {
    let annotated = include_str!("../../../../../config/spanmill.yaml");
    let uncommented: Vec<String> = annotated
        .lines()
        .map(|line| match line.strip_prefix("  # ") {
            Some(rest) if rest.starts_with("otlp/") || rest.starts_with("  ") => {
                format!("  {rest}")
            }
            _ => line.to_owned(),
        })
        .collect();
    let loaded = load_with(&uncommented.join("\n"), &environment(&[("BACKEND_KEY", "k")])).unwrap();
    let mut expected = OtlpExporter::new("http://backend:4317".parse().unwrap());
    expected.headers.insert("api-key".to_owned(), Secret::new("k"));
    expected.temporality = Some(expected.temporality());
    assert_eq!(loaded.config.exporters.otlp["backend"], expected);
}

// Guarantees that an empty file, a file of comments and no file are the defaults.
#[test]
fn nothing_is_the_default() {
    for source in ["", "# nothing\n", "---\n", "{}", "\u{feff}metrics: { semconv: 1.41 }\r\n"] {
        assert_eq!(load(source).unwrap().config, Config::default(), "{source:?}");
    }
    assert_eq!(Config::load(None, &no_environment).unwrap().config, Config::default());
}

// Guarantees that every key does something, each to the field of its name.
#[test]
fn every_supported_key_is_read() {
    let loaded = load(
        r#"
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "[::1]:5317", max_recv_msg_size: 8MiB }
      http: { endpoint: localhost:0, max_request_body_size: 9MB }
    tls: null
    auth: none
    insecure: true
    memory_budget: 1GiB
storage: { directory: /data, wal: { enabled: true, max_size: 1GiB, compression: zstd(3) }, when_full: block }
derive:
  dimensions: [gen_ai.prompt.name, service.version]
  max_label_length: 64
  content: hash
  content_hash_key: 0123456789abcdef
  duplicate_window: 1900s
  duplicate_max_entries: 1000
  settle_wait: 11s
  settle_memory: 65MiB
  merge_unlinked_duplicates: true
  prices: { catalogue: prices.json, overrides: [a.yaml, b.yaml], supplied_cost: ignore }
history: { memory: 1GiB }
metrics: { semconv: next, interval: 1m, resource_attributes: [], aggregation_cardinality_limit: 5 }
exporters:
  prometheus: { endpoint: 0.0.0.0:9464 }
  otlp/a.b-c_1:
    endpoint: https://192.0.2.1:4318/otlp/
    append_path: false
    protocol: http/protobuf
    signals: [logs, traces]
    headers: { X-Key: 5 }
    tls: { ca_file: ca.pem, cert_file: c.pem, key_file: c.key }
    compression: none
    profile: prometheus
    temporality: delta
    histograms: exponential
    max_request_size: 1MiB
    timeout: 1500ms
    retry_on_failure: { initial_interval: 2s, max_interval: 3s, max_elapsed_time: 4s }
    when_full: drop_oldest
forward: { enrich: true, keep_client_metrics: true }
archive: { directory: /data/archive, include: all, max_rows: 7, max_age: 1h30m, compression: zstd(19) }
admin: { endpoint: "127.0.0.1:1", tls: null, auth: none }
"#,
    )
    .unwrap();

    let config = loaded.config;
    let otlp = &config.receivers.otlp;
    assert_eq!(otlp.protocols.grpc.endpoint, "[::1]:5317".parse().unwrap());
    assert_eq!(otlp.protocols.grpc.max_recv_msg_size, ByteSize::mebibytes(8));
    assert_eq!(otlp.protocols.http.endpoint, "localhost:0".parse().unwrap());
    assert_eq!(otlp.protocols.http.max_request_body_size, "9000000".parse().unwrap());
    assert!(otlp.insecure);
    assert_eq!(otlp.memory_budget, ByteSize::mebibytes(1024));
    assert_eq!(config.storage.directory, Path::new("/data"));
    assert_eq!((config.storage.wal.enabled, config.storage.wal.max_size), (true, ByteSize::mebibytes(1024)));
    assert_eq!(config.storage.wal.compression, Some(Zstd(3)));
    assert_eq!(config.derive.dimensions, ["gen_ai.prompt.name", "service.version"]);
    assert_eq!(config.derive.max_label_length, 64);
    assert_eq!(config.metrics.semconv, Semconv::Next);
    assert_eq!(config.derive.content, Content::Hash);
    assert_eq!(config.derive.content_hash_key, Some(Secret::new("0123456789abcdef")));
    assert_eq!(
        (config.derive.duplicate_window, config.derive.duplicate_max_entries),
        (Duration::from_secs(1900), Some(1000))
    );
    assert_eq!(config.derive.settle_wait, Duration::from_secs(11));
    assert_eq!(config.derive.settle_memory, Some(ByteSize::mebibytes(65)));
    assert!(config.derive.merge_unlinked_duplicates);
    let prices = config.derive.prices;
    assert_eq!(prices.catalogue, CatalogueSource::File("prices.json".into()));
    assert_eq!(prices.overrides, [Path::new("a.yaml"), Path::new("b.yaml")]);
    assert_eq!(prices.supplied_cost, SuppliedCost::Ignore);
    assert_eq!(config.metrics.interval, Duration::from_secs(60));
    assert_eq!(config.history.meant().memory, 1 << 30);
    assert!(config.metrics.resource_attributes.is_empty());
    assert_eq!(config.metrics.aggregation_cardinality_limit, 5);
    assert_eq!(config.exporters.prometheus.unwrap().endpoint, "0.0.0.0:9464".parse().unwrap());
    let exporter = &config.exporters.otlp["a.b-c_1"];
    assert_eq!(exporter.endpoint.to_string().as_str(), "https://192.0.2.1:4318/otlp/");
    assert_eq!((exporter.protocol, exporter.append_path), (Protocol::HttpProtobuf, false));
    assert_eq!(exporter.signals, [Signal::Logs, Signal::Traces]);
    assert_eq!(exporter.when_full, WhenFull::DropOldest);
    assert!(config.forward.keep_client_metrics && config.forward.enrich);
    assert_eq!(exporter.headers["X-Key"].expose(), "5");
    let files = [Some("ca.pem".into()), Some("c.pem".into()), Some("c.key".into())];
    let [ca_file, cert_file, key_file] = files;
    assert_eq!(exporter.tls, Some(ClientTls { ca_file, cert_file, key_file }));
    assert_eq!(exporter.compression, Compression::None);
    assert_eq!((exporter.profile, exporter.temporality), (Profile::Prometheus, Some(Temporality::Delta)));
    assert_eq!(exporter.histograms, Histograms::Exponential);
    assert_eq!(exporter.max_request_size, ByteSize::mebibytes(1));
    assert_eq!(exporter.timeout, Duration::from_millis(1500));
    let [initial_interval, max_interval, max_elapsed_time] = [2, 3, 4].map(Duration::from_secs);
    assert_eq!(exporter.retry_on_failure, RetryOnFailure { initial_interval, max_interval, max_elapsed_time });
    let archive = config.archive.unwrap();
    assert_eq!(archive.directory, Path::new("/data/archive"));
    assert_eq!(archive.include, Include::All);
    assert_eq!(archive.max_rows, 7);
    assert_eq!(archive.max_age, Duration::from_secs(5400));
    assert_eq!(archive.compression, Zstd(19));
    assert_eq!(config.admin.endpoint, "127.0.0.1:1".parse().unwrap());
    assert_eq!(
        loaded.warnings,
        [
            "\"exporters.prometheus.endpoint\": 0.0.0.0:9464 can be reached from other machines, and nothing asks who calls"
        ]
    );
}

// Guarantees that a profile says what a key leaves open, and that the key goes first.
#[test]
fn profiles_are_defaults() {
    for (keys, temporality) in [
        ("profile: default", Temporality::Cumulative),
        ("profile: signoz", Temporality::Delta),
        ("profile: signoz, temporality: cumulative", Temporality::Cumulative),
        ("profile: prometheus", Temporality::Cumulative),
    ] {
        let source = format!("exporters: {{ otlp/x: {{ endpoint: \"http://192.0.2.1:1\", {keys} }} }}\n");
        let config = load(&source).unwrap().config;
        assert_eq!(config.exporters.otlp["x"].temporality(), temporality, "{keys}");
        assert_eq!(load(&effective_yaml(&config).unwrap()).unwrap().config, config);
    }
}

// Guarantees every form of authentication, that one opens its own listeners to other machines and no others, and that tokens
// are masked.
#[test]
fn authentication() {
    let receivers = |auth: &str| {
        let protocols = "{ grpc: { endpoint: 0.0.0.0:4317 }, http: { endpoint: 0.0.0.0:4318 } }";
        load_with(
            &format!("receivers: {{ otlp: {{ protocols: {protocols}, auth: {auth} }} }}\n"),
            &environment(&[("TOKEN", "hunter2")]),
        )
    };
    for (auth, expected) in [
        (
            "{ bearer_tokens: [\"${env:TOKEN}\", b] }",
            Auth::BearerTokens(vec![Secret::new("hunter2"), Secret::new("b")]),
        ),
        ("{ bearer_tokens_file: tokens }", Auth::BearerTokensFile("tokens".into())),
        ("{ basic_file: htpasswd }", Auth::BasicFile("htpasswd".into())),
    ] {
        let loaded = receivers(auth).unwrap();
        assert_eq!(loaded.config.receivers.otlp.auth, expected);
        assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|warning| warning.ends_with("and credentials travel unencrypted")));
        let shown = format!("{} {:?}", effective_yaml(&loaded.config).unwrap(), loaded.config);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let refused = receivers("none").unwrap_err();
    assert_eq!(refused.matches("listening beyond loopback without auth is refused").count(), 2, "{refused}");
    let admin = load("admin: { endpoint: 0.0.0.0:1, auth: { bearer_tokens_file: tokens } }\n").unwrap();
    assert_eq!(admin.config.admin.auth, Auth::BearerTokensFile("tokens".into()));
    let scraped = |auth: &str| load(&format!("exporters: {{ prometheus: {{ endpoint: 0.0.0.0:1, auth: {auth} }} }}\n"));
    let prometheus = scraped("{ basic_file: htpasswd }").unwrap().config.exporters.prometheus.unwrap();
    assert_eq!(prometheus.auth, Auth::BasicFile("htpasswd".into()));
    assert!(scraped("none").unwrap_err().contains("listening beyond loopback without auth is refused"));
    assert!(scraped("{ bearer_tokens: [] }").unwrap_err().contains("expected at least one token"));
}

// Guarantees that a certificate counts as credentials where clients must show one, and only there.
#[test]
fn encryption() {
    let admin =
        |tls: &str| load(&format!("admin: {{ endpoint: 0.0.0.0:1, tls: {{ cert_file: c, key_file: k{tls} }} }}\n"));
    let loaded = admin(", client_ca_file: a").unwrap();
    let expected = Tls { cert_file: "c".into(), key_file: "k".into(), client_ca_file: Some("a".into()) };
    assert_eq!((loaded.config.admin.tls, loaded.warnings), (Some(expected), Vec::new()));
    let refused = admin("").unwrap_err();
    assert!(refused.contains("listening beyond loopback without auth is refused"), "{refused}");
    let both = "tls: { cert_file: c, key_file: k }, auth: { basic_file: f }";
    let loaded = load(&format!("admin: {{ endpoint: 0.0.0.0:1, {both} }}\n")).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
}

// Guarantees how exporters and the archive are switched off, and that a file's exporters are all there are.
#[test]
fn exporters_and_archive_can_be_switched_off() {
    let config = load("archive: null\nexporters: {}\n").unwrap().config;
    assert_eq!(config.archive, None);
    assert_eq!((config.exporters.prometheus, config.exporters.otlp.len()), (None, 0));

    let config = load("exporters: { otlp/x: { endpoint: \"http://192.0.2.1:1\" } }\n").unwrap().config;
    assert_eq!((config.exporters.prometheus, config.exporters.otlp.len()), (None, 1));
}
