//! What `/metrics` consists of: whoever has dashboards and alerts on it relies on names, types and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use spanmill_tests::{Backend, Client, Destination, Setup, Spanmill, corpus, eventually};

/// A family a line: its type, and every label that one of its samples has. Units are part of names.
fn shape(page: &str) -> String {
    let mut families = BTreeMap::<&str, (&str, BTreeSet<&str>)>::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|described| described.split_once(' ')) {
            families.insert(name, (kind, BTreeSet::new()));
        }
        let Some((name, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) else { continue };
        // A histogram's samples have its name and more; the longest one is its own.
        let family = families.iter_mut().rev().find(|(family, _)| name.starts_with(**family));
        let (_, (_, keys)) = family.expect("a sample of a family");
        let before_values = labels.split("=\"").map(|text| text.rsplit([',', '{']).next().unwrap_or_default());
        keys.extend(before_values.filter(|key| !key.is_empty() && !key.contains(['"', '}'])));
    }
    let mut shape = String::new();
    for (family, (kind, labels)) in families {
        writeln!(shape, "{family}: {kind} of {}", labels.into_iter().collect::<Vec<_>>().join(", ")).unwrap();
    }
    shape
}

// Names, types and labels stay as they are: a change of one is a change of this file, and belongs into CHANGELOG.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_stable() {
    let sections = "monitors: [{ name: chat, minimum_requests: 1 }]
alerts: [{ name: errors, monitor: chat, when: { field: error_rate, above: 0.4 }, severity: critical }]
slos: [{ name: good, monitor: chat, target: 0.5 }]
";
    let backend = Backend::grpc().await;
    let destination = Destination { signals: "traces, metrics, logs", ..Destination::grpc(&backend) };
    let setup = Setup {
        wal: "enabled: true, max_size: 64MiB",
        interval: "1s",
        archive_age: "1s",
        settle_wait: "100ms",
        forward: "enrich: true",
        sections: sections.to_owned(),
        ..Setup::with(destination)
    };
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    for payload in corpus().iter().flat_map(|client| &client.payloads) {
        client.send(payload).await.unwrap();
    }
    eventually("everything has been exported, archived and evaluated", async || {
        let exported = spanmill.sample("spanmill_exporter_items_total", &[("signal", "traces")]).await;
        let archived = spanmill.sample("spanmill_archive_rows", &[]).await;
        let evaluated = spanmill.metrics().await.contains("spanmill_slo_budget_left_ratio{");
        (exported > 0 && archived > 0 && evaluated).then_some(())
    })
    .await;
    insta::assert_snapshot!(shape(&spanmill.metrics().await));
    spanmill.stop();
}
