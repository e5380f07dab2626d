//! Destinations as they are met with: encrypted, with certificates that change.

use spanmill_tests::{Authority, Backend, Client, Destination, Setup, Spanmill, TlsFront, eventually};

use crate::spans::{call, payload};

// Over both protocols a destination is reached by TLS, with a certificate of our own; a renewed one of ours or of the destination
// holds without a restart, what waited meanwhile arrives, and nothing goes to a destination that is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_on_both_sides() {
    let (server, other_server, clients, strangers) =
        (Authority::new(), Authority::new(), Authority::new(), Authority::new());
    for (protocol, backend) in [("grpc", Backend::grpc().await), ("http/protobuf", Backend::http().await)] {
        let front = TlsFront::start(backend.address, &server.issue(), &clients).await;
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, server.pem()).unwrap();
        strangers.issue().write(directory.path());
        let destination = Destination {
            address: front.address,
            protocol,
            temporality: "cumulative",
            compression: "gzip",
            more: "tls: { ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem }",
        };
        let setup = Setup { interval: "1s", settle_wait: "100ms", ..Setup::with(destination) };
        let spanmill = Spanmill::start_in(directory, &setup);
        let client = Client::grpc(spanmill.addresses);
        let arrived = async |requests: u64| {
            eventually(&format!("{requests} requests over {protocol}"), async || {
                Some(()).filter(|()| backend.received().totals().requests >= requests)
            })
            .await;
        };
        let retries = async || {
            let labels = [("destination", "otlp/backend0"), ("signal", "metrics")];
            spanmill.sample("spanmill_exporter_retries_total", &labels).await
        };
        let refused = async |before: u64| {
            eventually("an attempt that fails", async || Some(retries().await).filter(|now| *now > before)).await
        };

        client.send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
        let before = refused(0).await;
        assert_eq!(backend.received().metrics.len(), 0, "nobody may send with a stranger's certificate");
        clients.issue().write(spanmill.directory());
        arrived(1).await;

        front.replace(&other_server.issue(), &clients);
        client.send(&payload(vec![call(2, "gpt-4o")])).await.unwrap();
        refused(before).await;
        assert_eq!(backend.received().totals().requests, 1, "nothing is told to a stranger");
        std::fs::write(spanmill.directory().join("ca.pem"), other_server.pem()).unwrap();
        arrived(2).await;

        client.send(&payload(vec![call(3, "gpt-4o")])).await.unwrap();
        spanmill.stop();
        assert_eq!(backend.received().totals().requests, 3);
    }
}
