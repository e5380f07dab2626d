//! Variables and files in values, and what must never be shown.

use super::*;

// Guarantees that substitution gives numbers, sizes and texts, but never structure.
#[test]
fn substitution() {
    let variables = [
        ("PORT", "9999"),
        ("SIZE", "8MiB"),
        ("ROWS", "12"),
        ("FLAG", "true"),
        ("NULL", "null"),
        ("EVIL", "x\", insecure: true }\nadmin: {}"),
        ("DOLLARS", "$$${env:PORT}"),
        ("EMPTY", ""),
    ];
    let loaded = load_with(
        r#"
receivers:
  otlp:
    protocols: { grpc: { endpoint: "127.0.0.1:${env:PORT}", max_recv_msg_size: "${env:SIZE}" } }
    insecure: ${env:FLAG}
archive: { max_rows: "${env:ROWS}", directory: "${env:EVIL}" }
storage: { directory: "$$HOME/$x/${env:DOLLARS}" }
derive: { dimensions: ["${env:NULL}", "a${env:EMPTY}b"] }
exporters: { otlp/x: { endpoint: "http://192.0.2.1:1", headers: { a: "${file:token}, and $$5" } } }
"#,
        &environment(&variables),
    )
    .unwrap();
    let config = loaded.config;
    assert_eq!(config.receivers.otlp.protocols.grpc.endpoint.to_string(), "127.0.0.1:9999");
    assert_eq!(config.receivers.otlp.protocols.grpc.max_recv_msg_size, ByteSize::mebibytes(8));
    assert!(config.receivers.otlp.insecure);
    let archive = config.archive.unwrap();
    assert_eq!(archive.max_rows, 12);
    assert_eq!(archive.directory.to_str(), Some(variables[5].1));
    assert_eq!(config.storage.directory, Path::new("$HOME/$x/$$${env:PORT}"));
    assert_eq!(config.derive.dimensions, ["null", "ab"]);
    assert_eq!(config.exporters.otlp["x"].headers["a"].expose(), "from a file, and $5");
}

// Guarantees that neither messages nor the effective configuration show what was substituted or a header's value.
#[test]
fn secrets_are_not_shown() {
    let variables = [("SECRET", "hunter2\n")];
    let secret = environment(&variables);
    for source in [
        "admin: { endpoint: \"${env:SECRET}\" }\n",
        "derive: { settle_wait: \"${env:SECRET}\" }\n",
        "exporters: { otlp/x: { endpoint: \"${env:SECRET}\", compression: \"${env:SECRET}\" } }\n",
        "exporters: { otlp/x: { endpoint: \"http://192.0.2.1:1\", headers: { a: \"${env:SECRET}\" } } }\n",
    ] {
        let message = load_with(source, &secret).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }

    let source = "exporters: { otlp/x: { endpoint: \"http://192.0.2.1:1\", headers: { a: hunter2 } } }\n";
    let loaded = load(source).unwrap();
    let shown = format!("{loaded:?} {}", effective_yaml(&loaded.config).unwrap());
    assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}
