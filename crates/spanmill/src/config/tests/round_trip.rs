//! The effective configuration is a configuration.

use proptest::prelude::*;

use super::*;

fn texts() -> impl Strategy<Value = Vec<String>> {
    // Whatever YAML or substitution could take for something else, and any other text.
    let tricky = [
        "null", "~", "1.10", "0x1", "yes", "${env:A}", "$$", "*a", "&a", "- a", "a: b", "#", "'", "\\", " a ", "a\nb\n",
    ];
    let text = prop_oneof![proptest::sample::select(tricky.to_vec()).prop_map(str::to_owned), ".{1,12}"];
    proptest::collection::hash_set(text, 0..5).prop_map(|set| set.into_iter().collect())
}

prop_compose! {
    fn configurations()(
        dimensions in texts(),
        directory in texts(),
        seconds in 1u64..10_000_000,
        milliseconds in 1u64..10_000_000,
        size in 1u64..=1 << 26,
        limit in 1usize..1_000_000,
        level in 1u8..=19,
        port in 1u16..4000,
        archive in any::<bool>(),
        flags in any::<[bool; 4]>(),
    ) -> Config {
        let mut config = Config::default();
        config.receivers.otlp.insecure = flags[0];
        config.receivers.otlp.protocols.grpc.max_recv_msg_size = size.to_string().parse().unwrap();
        config.receivers.otlp.protocols.http.endpoint = Address::loopback(0);
        config.receivers.otlp.auth = if flags[0] { Auth::BasicFile(format!("f{port}").into()) } else { Auth::None };
        config.admin.auth = if flags[1] { Auth::BearerTokensFile(format!("f{port}").into()) } else { Auth::None };
        config.admin.tls = flags[2].then(|| Tls {
            cert_file: "c".into(),
            key_file: "k".into(),
            client_ca_file: flags[3].then(|| "a".into()),
        });
        config.storage.directory = directory.concat().into();
        config.storage.wal.compression = flags[0].then_some(Zstd(level.min(3)));
        if directory.concat().is_empty() {
            config.storage.directory = "d".into();
        }
        let prices = PriceSources {
            catalogue: if flags[2] { CatalogueSource::Builtin } else { CatalogueSource::File(format!("p{port}").into()) },
            overrides: dimensions.iter().map(Into::into).collect(),
            supplied_cost: if flags[3] { SuppliedCost::Honour } else { SuppliedCost::Ignore },
        };
        config.derive = Derive { dimensions, max_label_length: limit, prices, ..Derive::default() };
        config.metrics.interval = Duration::from_secs(seconds);
        config.exporters.prometheus = flags[1].then(|| PrometheusExporter {
            endpoint: Address::loopback(port),
            tls: config.admin.tls.clone(),
            auth: config.admin.auth.clone(),
        });
        if flags[2] {
            let mut exporter = OtlpExporter::new("https://192.0.2.1:1".parse().unwrap());
            exporter.tls = flags[3].then(|| ClientTls { ca_file: Some("a".into()), ..ClientTls::default() });
            exporter.timeout = Duration::from_millis(milliseconds);
            exporter.max_request_size = size.to_string().parse().unwrap();
            exporter.compression = Compression::None;
            exporter.histograms = Histograms::Exponential;
            exporter.protocol = Protocol::HttpProtobuf;
            exporter.append_path = flags[0];
            exporter.signals = vec![Signal::Logs];
            config.exporters.otlp.insert(format!("n{port}"), exporter);
        }
        config.archive = archive.then(|| Archive {
            include: if flags[3] { Include::All } else { Include::Genai },
            max_rows: limit,
            max_age: Duration::from_secs(seconds),
            compression: Zstd(level),
            ..Archive::default()
        });
        config
    }
}

proptest! {
    // Guarantees that the effective configuration, read again, is the configuration.
    #[test]
    fn effective_yaml_round_trip(config in configurations()) {
        let yaml = effective_yaml(&config).unwrap();
        let loaded = load(&yaml);
        prop_assert_eq!(loaded.as_ref().map(|loaded| &loaded.config), Ok(&config), "{}", yaml);
    }

    // Guarantees that no file makes the reader panic.
    #[test]
    fn any_file_is_read_or_refused(source in "[ -~\n\u{e9}]{0,80}|(receivers|exporters|archive|otlp/x|tls|[:{}\\[\\],*&!$\n -])*") {
        let _ = load(&source);
    }
}
