//! What cannot be written, and what is said about it.

use super::*;

// Guarantees the exact words for every kind of mistake, each with its line and column and what is allowed.
#[test]
fn mistakes_are_named_with_their_place() {
    for (source, expected) in [
        // Keys.
        (
            "metrcs: {}\n",
            r#"spanmill.yaml:1:1: unknown key "metrcs" (did you mean "metrics"?), expected one of receivers, storage, derive, metrics, exporters, forward, archive, admin, history, monitors, alerts, slos, notifiers"#,
        ),
        (
            "\nexporters:\n  otlp/x:\n    endpont: http://a:1\n    endpoint: http://192.0.2.1:1\n",
            r#"spanmill.yaml:4:5: unknown key "exporters.otlp/x.endpont" (did you mean "endpoint"?), expected one of endpoint, append_path, protocol, signals, headers, tls, compression, profile, temporality, histograms, max_request_size, timeout, retry_on_failure, when_full"#,
        ),
        (
            "exporters: { jaeger: {} }\n",
            r#"spanmill.yaml:1:14: unknown key "exporters.jaeger", expected one of prometheus, otlp/NAME"#,
        ),
        (
            "exporters: { \"otlp/a$b\": {} }\n",
            r#"spanmill.yaml:1:14: unknown key "exporters.otlp/a$b", expected one of prometheus, otlp/NAME"#,
        ),
        (
            "forward: { keep_client_metric: true }\n",
            r#"spanmill.yaml:1:12: unknown key "forward.keep_client_metric" (did you mean "keep_client_metrics"?), expected one of enrich, keep_client_metrics"#,
        ),
        ("exporters: { otlp/x: {} }\n", r#"spanmill.yaml:1:14: "exporters.otlp/x": "endpoint" is missing"#),
        (
            "metrics: { interval: 5s, interval: 6s }\n",
            r#"spanmill.yaml:1:26: not valid YAML: duplicate mapping key `interval` is not allowed here"#,
        ),
        // Values.
        ("metrics: null\n", r#"spanmill.yaml:1:1: "metrics": expected a mapping, found null"#),
        ("[]\n", r#"spanmill.yaml:1:1: expected a mapping, found a list"#),
        (
            "receivers: { otlp: { insecure: yes } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.insecure": expected true or false, found "yes""#,
        ),
        (
            "receivers: { otlp: { memory_budget: lots } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.memory_budget": expected a byte size such as 64MiB, 512KB or 1000, found "lots""#,
        ),
        (
            "metrics: { interval: 30 }\n",
            r#"spanmill.yaml:1:12: "metrics.interval": expected a duration such as 10s, 5m, 1h30m or 500ms, found "30""#,
        ),
        (
            "archive: { max_rows: -1 }\n",
            r#"spanmill.yaml:1:12: "archive.max_rows": expected a whole number, found "-1""#,
        ),
        (
            "archive: { compression: zstd(20) }\n",
            r#"spanmill.yaml:1:12: "archive.compression": expected zstd(LEVEL) with a level of 1 to 19, found "zstd(20)""#,
        ),
        (
            "archive: { include: some }\n",
            r#"spanmill.yaml:1:12: "archive.include": expected one of genai, all, found "some""#,
        ),
        (
            "admin: { endpoint: 13133 }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": expected HOST:PORT such as 127.0.0.1:4317, found "13133""#,
        ),
        (
            "derive: { dimensions: gen_ai.prompt.name }\n",
            r#"spanmill.yaml:1:11: "derive.dimensions": expected a list, found "gen_ai.prompt.name""#,
        ),
        (
            "derive:\n  dimensions:\n    - a\n    - [b]\n",
            r#"spanmill.yaml:4:7: "derive.dimensions[1]": expected a text, found a list"#,
        ),
        (
            "derive: { dimensions: [a, b, a] }\n",
            r#"spanmill.yaml:1:30: "derive.dimensions[2]": expected an attribute name that is not in the list yet, found "a""#,
        ),
        (
            "derive: { prices: { supplied_cost: maybe } }\n",
            r#"spanmill.yaml:1:21: "derive.prices.supplied_cost": expected one of honour, ignore, found "maybe""#,
        ),
        (
            "derive: { prices: { catalog: builtin } }\n",
            r#"spanmill.yaml:1:21: unknown key "derive.prices.catalog" (did you mean "catalogue"?), expected one of catalogue, overrides, supplied_cost"#,
        ),
        // Ranges.
        (
            "metrics: { interval: 10ms }\n",
            r#"spanmill.yaml:1:12: "metrics.interval": expected at least 1s, found "10ms""#,
        ),
        (
            "history: { memory: 15MiB }",
            r#"spanmill.yaml:1:12: "history.memory": expected at least 16MiB, found "15MiB""#,
        ),
        (
            "storage: { wal: { compression: zstd(4) } }\n",
            r#"spanmill.yaml:1:19: "storage.wal.compression": expected at most zstd(3), found "zstd(4)""#,
        ),
        (
            "metrics: { aggregation_cardinality_limit: 0 }\n",
            r#"spanmill.yaml:1:12: "metrics.aggregation_cardinality_limit": expected at least 1, found "0""#,
        ),
        (
            "admin: { trace_link: \"javascript:alert(1)\" }\n",
            r#"spanmill.yaml:1:10: "admin.trace_link": expected an address with {trace_id}, such as https://signoz.example/trace/{trace_id}, found "javascript:alert(1)""#,
        ),
        (
            "receivers: { otlp: { memory_budget: 32MiB } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.memory_budget": expected at least what max_recv_msg_size and max_request_body_size allow, 64MiB, found "32MiB""#,
        ),
        (
            "derive: { content: hash }\n",
            r#"spanmill.yaml:1:1: "derive.content_hash_key": expected at least 16 characters to hash with"#,
        ),
        (
            "derive: { content: hash, content_hash_key: hunter2 }\n",
            r#"spanmill.yaml:1:26: "derive.content_hash_key": expected at least 16 characters to hash with"#,
        ),
        (
            "storage: { directory: \"\" }\n",
            r#"spanmill.yaml:1:12: "storage.directory": expected a directory, found """#,
        ),
        // Listeners.
        (
            "receivers: { otlp: { protocols: { grpc: { endpoint: 0.0.0.0:4317 } } } }\n",
            r#"spanmill.yaml:1:43: "receivers.otlp.protocols.grpc.endpoint": listening beyond loopback without auth is refused unless receivers.otlp.insecure is true, found "0.0.0.0:4317""#,
        ),
        (
            "receivers: { otlp: { auth: { bearer_tokens: [a] } } }\nadmin: { endpoint: \"[::]:1\" }\n",
            r#"spanmill.yaml:2:10: "admin.endpoint": listening beyond loopback without auth is refused unless receivers.otlp.insecure is true, found "[::]:1""#,
        ),
        // Who may call. What was found is not said: it may be a secret.
        (
            "receivers: { otlp: { auth: hunter2 } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.auth": expected none, or one of bearer_tokens, bearer_tokens_file, basic_file"#,
        ),
        (
            "receivers: { otlp: { auth: } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.auth": expected none, or one of bearer_tokens, bearer_tokens_file, basic_file"#,
        ),
        (
            "admin: { auth: { bearer_tokens: [a], basic_file: b } }\n",
            r#"spanmill.yaml:1:10: "admin.auth": expected none, or one of bearer_tokens, bearer_tokens_file, basic_file"#,
        ),
        (
            "admin: { auth: { bearer_tokens: hunter2 } }\n",
            r#"spanmill.yaml:1:18: "admin.auth.bearer_tokens": expected a list"#,
        ),
        (
            "admin: { auth: { bearer_tokens: [] } }\n",
            r#"spanmill.yaml:1:18: "admin.auth.bearer_tokens": expected at least one token"#,
        ),
        (
            "admin: { auth: { bearer_tokens: [a, \"hunter 2\"] } }\n",
            r#"spanmill.yaml:1:37: "admin.auth.bearer_tokens[1]": expected a token of printable ASCII, without spaces"#,
        ),
        (
            "admin: { auth: { bearer_tokens: [\"\"] } }\n",
            r#"spanmill.yaml:1:34: "admin.auth.bearer_tokens[0]": expected a token of printable ASCII, without spaces"#,
        ),
        (
            "receivers: { otlp: { tls: { cert_file: a } } }\n",
            r#"spanmill.yaml:1:22: "receivers.otlp.tls": "key_file" is missing"#,
        ),
        (
            "admin: { tls: { cert_file: a, key_file: \"\" } }\n",
            r#"spanmill.yaml:1:31: "admin.tls.key_file": expected a file, found """#,
        ),
        ("admin: { auth: { basic_file: \"\" } }\n", r#"spanmill.yaml:1:10: "admin.auth": expected a file"#),
        (
            "admin: { endpoint: 127.0.0.1:4317 }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": "receivers.otlp.protocols.grpc.endpoint" already listens on 127.0.0.1:4317, found "127.0.0.1:4317""#,
        ),
        // Destinations.
        (
            "exporters:\n  otlp/x: { endpoint: http://localhost:4318 }\n",
            r#"spanmill.yaml:2:13: "exporters.otlp/x.endpoint": is Spanmill's own listener "receivers.otlp.protocols.http.endpoint" (127.0.0.1:4318), found "http://localhost:4318""#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, tls: { ca_file: a } }\n",
            r#"spanmill.yaml:2:43: "exporters.otlp/x.tls": the endpoint is not https://"#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: https://192.0.2.1:1, tls: { cert_file: a } }\n",
            r#"spanmill.yaml:2:51: "exporters.otlp/x.tls.cert_file": "key_file" is missing"#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: https://192.0.2.1:1, tls: { ca_file: \"\" } }\n",
            r#"spanmill.yaml:2:51: "exporters.otlp/x.tls.ca_file": expected a file, found """#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1/p }\n",
            r#"spanmill.yaml:2:13: "exporters.otlp/x.endpoint": expected no path, for the protocol is grpc, found "http://192.0.2.1:1/p""#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, append_path: false }\n",
            r#"spanmill.yaml:2:43: "exporters.otlp/x.append_path": expected true, for the protocol is grpc, found "false""#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, protocol: http/json }\n",
            r#"spanmill.yaml:2:43: "exporters.otlp/x.protocol": expected one of grpc, http/protobuf, found "http/json""#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, signals: [] }\n",
            r#"spanmill.yaml:2:43: "exporters.otlp/x.signals": expected metrics, logs or traces, one at least and each once, found a list"#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, headers: { a b: x } }\n",
            r#"spanmill.yaml:2:54: "exporters.otlp/x.headers.a b": expected a header name of letters, digits, - _ and ."#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, headers: { a: \"s3cr\\net\" } }\n",
            r#"spanmill.yaml:2:54: "exporters.otlp/x.headers.a": expected a header value of printable ASCII characters"#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, retry_on_failure: { initial_interval: 1m } }\n",
            r#"spanmill.yaml:2:43: "exporters.otlp/x.retry_on_failure.max_interval": expected at least initial_interval, 1m"#,
        ),
        (
            "exporters:\n  otlp/x: { endpoint: http://192.0.2.1:1, retry_on_failure: { initial_interval: 0s } }\n",
            r#"spanmill.yaml:2:63: "exporters.otlp/x.retry_on_failure.initial_interval": expected at least 1ms, found "0s""#,
        ),
        // Substitution.
        (
            "admin: { endpoint: \"${env:NOWHERE}\" }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": environment variable NOWHERE is not set"#,
        ),
        (
            "admin: { endpoint: \"${file:nowhere}\" }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": cannot read nowhere: No such file or directory (os error 2)"#,
        ),
        (
            "admin: { endpoint: \"${NAME}\" }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": expected ${env:NAME} or ${file:PATH} (write $$ for a dollar sign), found "${NAME}""#,
        ),
        (
            "admin: { endpoint: \"${env:NAME\" }\n",
            r#"spanmill.yaml:1:10: "admin.endpoint": "${" without "}" (write $$ for a dollar sign)"#,
        ),
        // YAML.
        ("a: [\n", "spanmill.yaml:1:4: not valid YAML: unclosed bracket '['"),
    ] {
        let message = load(source).unwrap_err();
        assert_eq!(message, expected, "{source}");
    }
}

// Guarantees that what later versions will have, or none can, is refused by name and line, and never ignored.
#[test]
fn keys_of_one_value() {
    for (source, expected) in [
        (
            "storage: { when_full: drop_oldest }",
            r#"1:12: "storage.when_full" cannot drop what is acknowledged and not counted yet (a destination can drop what it has not got: exporters.otlp/NAME.when_full), the only value is block"#,
        ),
        ("metrics: { semconv: newest }", r#"1:12: "metrics.semconv": expected one of 1.41, next, found "newest""#),
    ] {
        let expected = format!("spanmill.yaml:{expected}");
        assert_eq!(load(source).unwrap_err(), expected, "{source}");
    }
}

// Guarantees that one run of check-config shows everything that is wrong, in the order of the file, each thing once.
#[test]
fn all_problems_are_reported_together() {
    let message = load(
        r#"
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "${env:A}", max_recv_msg_size: big }
    tls: { cert_file: a }
metrics: { interval: 0s, semconv: newest, x: 1 }
exporters:
  prometheus: { endpoint: 127.0.0.1:4317 }
  otlp/x: { endpoint: here, signals: [metrics, trace, "${env:B}"] }
  otlp/y: { endpoint: "http://127.0.0.1:4318" }
"#,
    )
    .unwrap_err();
    let short: Vec<&str> = message.lines().map(|line| line.split([',', '(']).next().unwrap()).collect();
    assert_eq!(
        short,
        [
            r#"spanmill.yaml:5:15: "receivers.otlp.protocols.grpc.endpoint": environment variable A is not set"#,
            r#"spanmill.yaml:5:37: "receivers.otlp.protocols.grpc.max_recv_msg_size": expected a byte size such as 64MiB"#,
            r#"spanmill.yaml:6:5: "receivers.otlp.tls": "key_file" is missing"#,
            r#"spanmill.yaml:7:12: "metrics.interval": expected at least 1s"#,
            r#"spanmill.yaml:7:26: "metrics.semconv": expected one of 1.41"#,
            r#"spanmill.yaml:7:43: unknown key "metrics.x""#,
            r#"spanmill.yaml:10:13: "exporters.otlp/x.endpoint": expected a URL such as http://localhost:4318"#,
            r#"spanmill.yaml:10:48: "exporters.otlp/x.signals[1]": expected one of metrics"#,
            r#"spanmill.yaml:10:55: "exporters.otlp/x.signals[2]": environment variable B is not set"#,
            r#"spanmill.yaml:11:13: "exporters.otlp/y.endpoint": is Spanmill's own listener "receivers.otlp.protocols.http.endpoint" "#,
        ]
    );
}

// Guarantees that a file that is not there is an error that names it.
#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/spanmill.yaml")), &no_environment).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/spanmill.yaml: No such file or directory (os error 2)");
}
