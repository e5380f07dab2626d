//! Somebody is told of an incident, once, whatever becomes of the process.

use opentelemetry_proto::tonic::trace::v1::{Status, status::StatusCode};
use spanmill_tests::{Alertmanager, Authority, Client, MailServer, Python, Setup, Spanmill, eventually};

use crate::spans::{call, payload};

const PASSWORD: &str = "mail-pass-5f2";

/// Sends calls with these ids.
async fn send(spanmill: &Spanmill, ids: std::ops::Range<u64>, fails: bool) {
    let spans = ids.map(|id| {
        let mut span = call(id, "gpt-4o");
        if fails {
            span.status = Some(Status { code: StatusCode::Error as i32, ..Status::default() });
        }
        span
    });
    Client::grpc(spanmill.addresses).send(&payload(spans.collect())).await.unwrap();
}

/// Waits until all notifiers are through with so many notifications, and that is on disk.
async fn told(spanmill: &Spanmill, number: usize) {
    eventually(&format!("{number} notifications are told"), async || {
        let through = spanmill.log().matches("all notifiers are through with a notification").count();
        (through >= number).then_some(())
    })
    .await;
}

// An alert fires and is over: Alertmanager and both ways of mail hear of each once, over TLS, although the process is killed between and
// after; its password is in no log.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_once() {
    let (Some(python), Some(alertmanager)) = (Python::get(), Alertmanager::start().await) else { return };
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let ca_file = files.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let mail = MailServer::start(python, &authority.issue(), files.path(), PASSWORD);
    let email = |port, tls| {
        format!(
            "{{ server: \"localhost:{port}\", tls: {tls}, ca_file: {}, username: spanmill, password: {PASSWORD}, \
             from: Spanmill <spanmill@example.com>, to: [a@example.com, b@example.com] }}",
            ca_file.display()
        )
    };
    let sections = format!(
        "monitors: [{{ name: chat, select: {{ model: gpt-4o }} }}]
alerts: [{{ name: errors, monitor: chat, when: {{ field: error_rate, above: 0.5 }}, severity: critical }}]
notifiers:
  alertmanager/main: {{ url: \"{}\", resend_interval: 1h }}
  email/first: {}
  email/second: {}
",
        alertmanager.url(),
        email(mail.starttls, "starttls"),
        email(mail.implicit, "implicit"),
    );
    let log = "info,spanmill=debug";
    let setup =
        Setup { sections, log, wal: "enabled: true, max_size: 64MiB", settle_wait: "100ms", ..Setup::default() };

    let spanmill = Spanmill::start(&setup);
    send(&spanmill, 1..5, true).await;
    told(&spanmill, 1).await;
    assert_eq!(alertmanager.alerts().await, ["errors"]);
    assert!(!spanmill.log().contains(PASSWORD));

    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    send(&spanmill, 5..25, false).await;
    told(&spanmill, 1).await;
    assert!(alertmanager.alerts().await.is_empty(), "it is told that it is over");
    assert_eq!((alertmanager.received("firing").await, alertmanager.received("resolved").await), (1, 1));

    // What it would tell again it would tell before the next incident.
    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    send(&spanmill, 25..125, true).await;
    told(&spanmill, 1).await;
    assert_eq!((alertmanager.received("firing").await, alertmanager.received("resolved").await), (2, 1));
    let mails = mail.mails();
    for server in ["starttls", "implicit"] {
        let mails: Vec<_> = mails.iter().filter(|mail| mail["server"] == server).collect();
        let subjects: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
        let fires = "[critical] errors fires on chat";
        assert_eq!(subjects, [fires, "[resolved] errors is over (recovered) on chat", fires]);
        for mail in mails {
            let to = serde_json::json!(["a@example.com", "b@example.com"]);
            assert_eq!((&mail["tls"], &mail["user"], &mail["to"]), (&true.into(), &"spanmill".into(), &to));
        }
    }
    let stopped = spanmill.stop();
    assert!(!stopped.log.contains(PASSWORD));
}
