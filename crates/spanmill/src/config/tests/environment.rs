//! The standard OTLP variables.

use super::*;

// Guarantees what the standard variables make of a start without a file.
#[test]
fn environment_adds_a_destination() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:9999/base/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, x = y==,"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", ""),
    ];
    let loaded = Config::load(None, &environment(&variables)).unwrap();
    assert_eq!(loaded.warnings, [] as [&str; 0]);
    assert_eq!(loaded.config.exporters.otlp.len(), 1);
    assert_eq!(loaded.config.exporters.prometheus, Exporters::default().prometheus);
    let exporter = &loaded.config.exporters.otlp["env"];
    assert_eq!(exporter.endpoint.to_string().as_str(), "http://192.0.2.1:9999/base");
    assert_eq!(exporter.protocol, Protocol::HttpProtobuf);
    assert_eq!(exporter.signals, Signal::usual());
    assert_eq!(exporter.headers["api-key"].expose(), "a b=");
    assert_eq!(exporter.headers["x"].expose(), "y==");
    assert_eq!(exporter.compression, Compression::None);
    assert_eq!(exporter.timeout, Duration::from_millis(2500));
}

// Guarantees that an endpoint without a scheme is encrypted unless INSECURE says otherwise, and which files are used.
#[test]
fn environment_of_encrypted_connections() {
    let load = |more: &[(&str, &str)]| {
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "192.0.2.1:9999"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
        ];
        variables.extend(more);
        Config::load(None, &environment(&variables)).map_err(|error| error.to_string())
    };
    let encrypted =
        load(&[("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c.pem"), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "c.key")]);
    let Loaded { config, warnings, .. } = encrypted.unwrap();
    let exporter = &config.exporters.otlp["env"];
    assert_eq!((exporter.endpoint.to_string().as_str(), exporter.protocol), ("https://192.0.2.1:9999", Protocol::Grpc));
    let [ca_file, cert_file, key_file] = ["ca.pem", "c.pem", "c.key"].map(|file| Some(file.into()));
    assert_eq!((&exporter.tls, warnings.len()), (&Some(ClientTls { ca_file, cert_file, key_file }), 0));

    let Loaded { config, warnings, .. } = load(&[("OTEL_EXPORTER_OTLP_INSECURE", "True")]).unwrap();
    let exporter = &config.exporters.otlp["env"];
    assert_eq!((exporter.endpoint.to_string().as_str(), &exporter.tls), ("http://192.0.2.1:9999", &None));
    assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_CERTIFICATE is ignored: the endpoint is not https://"]);

    let alone = load(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "c.key")]).unwrap_err();
    assert_eq!(alone, "OTEL_EXPORTER_OTLP_CLIENT_KEY: its certificate is missing");
}

// Guarantees every preference of temporality there is, and that it does not make two destinations of one.
#[test]
fn environment_prefers_a_temporality() {
    for (preference, temporality, warning) in [
        ("cumulative", Temporality::Cumulative, None),
        ("DELTA", Temporality::Delta, None),
        ("lowmemory", Temporality::Delta, None),
        (
            "some",
            Temporality::Cumulative,
            Some("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is ignored: \"some\" is not supported"),
        ),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference),
        ];
        let Loaded { config, warnings, .. } = Config::load(None, &environment(&variables)).unwrap();
        assert_eq!(config.exporters.otlp["env"].temporality(), temporality, "{preference}");
        assert_eq!(warnings.iter().map(String::as_str).next(), warning);
    }
}

// Guarantees both kinds of histograms by their names in the specification.
#[test]
fn environment_chooses_histograms() {
    for (name, histograms) in [
        ("explicit_bucket_histogram", Histograms::Explicit),
        ("base2_exponential_bucket_histogram", Histograms::Exponential),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"),
            ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", name),
        ];
        let Loaded { config, warnings, .. } = Config::load(None, &environment(&variables)).unwrap();
        assert_eq!((config.exporters.otlp["env"].histograms, &*warnings), (histograms, &[][..]));
    }
}

// Guarantees that a variable of one signal goes before the general one, and concerns that signal alone.
#[test]
fn environment_of_one_signal() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://192.0.2.2:2/x/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
    ];
    let exporters = Config::load(None, &environment(&variables)).unwrap().config.exporters.otlp;
    let (metrics, logs) = (&exporters["env-metrics"], &exporters["env-logs"]);
    assert_eq!(
        (metrics.endpoint.to_string().as_str(), &*metrics.signals),
        ("http://192.0.2.2:2/x", &[Signal::Metrics][..])
    );
    assert_eq!((metrics.protocol, metrics.temporality()), (Protocol::HttpProtobuf, Temporality::Delta));
    assert_eq!((logs.endpoint.to_string().as_str(), &*logs.signals), ("http://192.0.2.1:1", &[Signal::Logs][..]));
    assert_eq!(logs.protocol, Protocol::Grpc);

    let alone = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://192.0.2.2:2/v1/metrics")];
    let exporters = Config::load(None, &environment(&alone)).unwrap().config.exporters.otlp;
    assert_eq!(exporters.keys().collect::<Vec<_>>(), ["env"]);
    assert_eq!(exporters["env"].signals, [Signal::Metrics]);
}

// Guarantees that an endpoint of one signal is used as it is, whatever it ends in.
#[test]
fn environment_of_exact_endpoints() {
    for (variable, url, endpoint, append_path) in [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1", "http://192.0.2.1:1", false),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1/ingest/", "http://192.0.2.1:1/ingest/", false),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1/v1/traces", "http://192.0.2.1:1/v1/traces", false),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1/v1/logs/", "http://192.0.2.1:1/v1/logs/", false),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1//v1/logs", "http://192.0.2.1:1//v1/logs", false),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1/x/v1/logs", "http://192.0.2.1:1/x", true),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1/ingest", "http://192.0.2.1:1/ingest", true),
    ] {
        let exporters = Config::load(None, &environment(&[(variable, url)])).unwrap().config.exporters.otlp;
        let exporter = &exporters["env"];
        assert_eq!((exporter.endpoint.to_string().as_str(), exporter.append_path), (endpoint, append_path), "{url}");
    }
}

// Guarantees that traces are handed on where their own variable says, with the settings of their own, and nowhere else.
#[test]
fn environment_of_traces() {
    const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1");
    let load = |more: &[(&str, &str)]| {
        let Loaded { config, warnings, .. } = Config::load(None, &environment(more)).unwrap();
        assert_eq!(warnings, [] as [&str; 0]);
        config.exporters.otlp
    };
    assert_eq!(load(&[GENERAL, ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none")])["env"].signals, Signal::usual());

    let same = load(&[GENERAL, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://192.0.2.1:1/v1/traces")]);
    assert_eq!(same.keys().collect::<Vec<_>>(), ["env"]);
    assert_eq!(same["env"].signals, [Signal::Metrics, Signal::Logs, Signal::Traces]);

    let other = load(&[
        GENERAL,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://192.0.2.3:3/v1/traces"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-mlflow-experiment-id=0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1000"),
    ]);
    assert_eq!(other.keys().collect::<Vec<_>>(), ["env", "env-traces"]);
    assert_eq!(other["env"].signals, Signal::usual());
    let traces = &other["env-traces"];
    assert_eq!((traces.endpoint.to_string().as_str(), &*traces.signals), ("http://192.0.2.3:3", &[Signal::Traces][..]));
    assert_eq!((traces.headers["x-mlflow-experiment-id"].expose(), traces.timeout), ("0", Duration::from_secs(1)));

    let alone = load(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://192.0.2.3:3/v1/traces")]);
    assert_eq!(alone["env"].signals, [Signal::Traces]);
}

// Guarantees that the environment cannot make Spanmill send to itself, and that what is not understood is said.
#[test]
fn environment_warnings_and_errors() {
    for (variables, warning) in [
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")][..],
            r#"OTEL_EXPORTER_OTLP_ENDPOINT is ignored: http://localhost:4318 is Spanmill's own listener "receivers.otlp.protocols.http.endpoint" (127.0.0.1:4318)"#,
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            r#"OTEL_EXPORTER_OTLP_PROTOCOL is ignored: "http/json" is not supported"#,
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"),
                ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "summary"),
            ],
            r#"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION is ignored: "summary" is not supported"#,
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
            r#"OTEL_EXPORTER_OTLP_TIMEOUT is ignored: "10s" is not a number of milliseconds"#,
        ),
    ] {
        let loaded = Config::load(None, &environment(variables)).unwrap();
        assert_eq!(loaded.warnings, [warning]);
        assert_eq!(loaded.config.exporters.otlp.is_empty(), warning.contains("own listener"));
    }
    for (variables, problem) in [
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")][..],
            "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL such as http://localhost:4318",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://192.0.2.1:1/x?y=z")],
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: expected a URL without a query",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")],
            "OTEL_EXPORTER_OTLP_HEADERS: expected KEY=VALUE,KEY=VALUE",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=%ff")],
            "OTEL_EXPORTER_OTLP_HEADERS: the value of \"a\" is not UTF-8",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3%0Acret")],
            "OTEL_EXPORTER_OTLP_HEADERS: \"a\": expected a header value of printable ASCII characters",
        ),
    ] {
        assert_eq!(Config::load(None, &environment(variables)).unwrap_err().to_string(), problem);
    }
}

// Guarantees that a file goes before the environment, and that ignoring the environment is said.
#[test]
fn a_file_goes_before_the_environment() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:1")];
    let loaded = load_with("", &environment(&variables)).unwrap();
    assert!(loaded.config.exporters.otlp.is_empty());
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is ignored: "), "{:?}", loaded.warnings);

    let source = "exporters: { otlp/x: { endpoint: \"http://192.0.2.2:2\" } }\n";
    assert_eq!(load_with(source, &environment(&variables)).unwrap().warnings, [] as [&str; 0]);
}
