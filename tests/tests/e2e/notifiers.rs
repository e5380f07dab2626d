//! Somebody is told of an incident, once, whatever becomes of the process.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use opentelemetry_proto::tonic::trace::v1::{Status, status::StatusCode};
use sha2::Sha256;
use spanmill_tests::{
    Alertmanager, Authority, Client, Hook, MailServer, Python, Setup, Spanmill, Taken, eventually, get,
};

use crate::spans::{call, payload};

const PASSWORD: &str = "mail-pass-5f2";
const HOOK_SECRET: &str = "hook-secret-81c";

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

/// A server that tells of failed calls by both ways of mail, over TLS, and to others.
fn telling(mail: &MailServer, ca: &Path, others: &str) -> Setup {
    let email = |port, tls| {
        format!(
            "{{ server: \"localhost:{port}\", tls: {tls}, ca_file: {}, username: spanmill, password: {PASSWORD}, timeout: 2m, \
             from: Spanmill <spanmill@example.com>, to: [a@example.com, b@example.com] }}",
            ca.display()
        )
    };
    let (first, second) = (email(mail.starttls, "starttls"), email(mail.implicit, "implicit"));
    telling_by(&format!("  email/first: {first}\n  email/second: {second}\n{others}"))
}

/// A server that tells of failed calls by these notifiers, a line each.
fn telling_by(notifiers: &str) -> Setup {
    let sections = format!(
        "monitors: [{{ name: chat, select: {{ model: gpt-4o }} }}]
alerts: [{{ name: errors, monitor: chat, when: {{ field: error_rate, above: 0.5 }}, severity: critical }}]
notifiers:
{notifiers}
"
    );
    let (log, wal) = ("info,spanmill=debug", "enabled: true, max_size: 64MiB");
    Setup { sections, log, wal, settle_wait: "100ms", ..Setup::default() }
}

/// An authority, in a file as well.
fn authority(directory: &Path) -> (Authority, PathBuf) {
    let (authority, file) = (Authority::new(), directory.join("ca.pem"));
    std::fs::write(&file, authority.pem()).unwrap();
    (authority, file)
}

// An alert fires and is over: Alertmanager and both ways of mail hear of each once, over TLS, although the process is killed between and
// after; its password is in no log.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_once() {
    let (Some(python), Some(alertmanager)) = (Python::get(), Alertmanager::start().await) else { return };
    let files = tempfile::tempdir().unwrap();
    let (authority, ca_file) = authority(files.path());
    let mail = MailServer::start(python, &authority.issue(), files.path(), PASSWORD);
    let others = format!("  alertmanager/main: {{ url: \"{}\", resend_interval: 1h }}", alertmanager.url());
    let setup = telling(&mail, &ca_file, &others);

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

// Mail that was taken, but the process was killed before it heard of that, is sent again under the same Message-ID, by which its readers
// see one; when it has heard, never again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_at_a_kill_is_told_under_its_id() {
    let Some(python) = Python::get() else { return };
    let files = tempfile::tempdir().unwrap();
    let (authority, ca_file) = authority(files.path());
    let mail = MailServer::start(python, &authority.issue(), files.path(), PASSWORD);
    let setup = telling(&mail, &ca_file, "");
    let ids = || mail.mails().iter().map(|mail| mail["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();

    mail.set_silent(true);
    let mut spanmill = Spanmill::start(&setup);
    send(&spanmill, 1..5, true).await;
    for attempts in 1..=3 {
        eventually("both ways of mail are under way", async || (ids().len() == 2 * attempts).then_some(())).await;
        spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    }
    eventually("both are under way again", async || (ids().len() == 8).then_some(())).await;
    mail.set_silent(false);
    told(&spanmill, 1).await;

    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    send(&spanmill, 5..25, false).await;
    told(&spanmill, 1).await;
    let (ids, subjects): (Vec<_>, Vec<_>) =
        mail.mails().iter().map(|mail| (mail["id"].to_string(), mail["subject"].to_string())).unzip();
    let firing = subjects.iter().filter(|subject| subject.contains("fires on chat")).count();
    assert_eq!((firing, subjects.len()), (8, 10), "{subjects:?}");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2, "one fires, one is over: {ids:?}");
    spanmill.stop();
}

/// Waits until the receiver took so many requests.
async fn taken(hook: &Hook, number: usize) {
    eventually(&format!("{number} requests are taken"), async || (hook.taken().len() >= number).then_some(())).await;
}

/// An alert fires, and the process is killed while it tells of that; and again when the alert is over meanwhile. Then there are answers, and it
/// is killed once more. Returns what the receiver took: three times that it fires, once that it is over, and that the next fires.
async fn killed_while_telling(hook: &Hook, setup: &Setup) -> Vec<Taken> {
    hook.set_silent(true);
    let spanmill = Spanmill::start(setup);
    send(&spanmill, 1..5, true).await;
    taken(hook, 1).await;

    let spanmill = Spanmill::start_in(spanmill.kill(), setup);
    taken(hook, 2).await;
    send(&spanmill, 5..25, false).await;
    eventually("the alert is over", async || {
        let notifications = get(spanmill.addresses.admin, "/api/v1/notifications").await.json();
        (notifications[0]["kind"] == "resolved").then_some(())
    })
    .await;
    assert_eq!(hook.taken().len(), 2, "what is behind something under way waits");
    let left = spanmill.kill();

    hook.set_silent(false);
    let spanmill = Spanmill::start_in(left, setup);
    told(&spanmill, 2).await;

    // What became of it is still known. What it would tell again it would tell before the next incident.
    let spanmill = Spanmill::start_in(spanmill.kill(), setup);
    let over = get(spanmill.addresses.admin, "/api/v1/notifications").await.json()[0].take();
    let [delivery] = &**over["deliveries"].as_array().unwrap() else { panic!("{over}") };
    assert_eq!((&over["kind"], &over["waiting"]), (&"resolved".into(), &serde_json::json!([])));
    assert_eq!((&delivery["outcome"], &delivery["attempts"]), (&"delivered".into(), &1.into()));
    assert!(delivery["at"].as_u64() >= over["at"].as_u64() && delivery["error"].is_null(), "{over}");
    send(&spanmill, 25..125, true).await;
    told(&spanmill, 1).await;
    assert!(!spanmill.stop().log.contains(HOOK_SECRET));
    assert_eq!(hook.taken().len(), 5);
    hook.taken()
}

// What a webhook took, but the process was killed before it heard of that, is sent again under the same key with the same body, signed; when
// it has heard, never again. What came meanwhile follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_once_by_its_key() {
    let hook = Hook::start(None).await;
    let webhook = format!("url: \"http://{}/hook\", secret: {HOOK_SECRET}, timeout: 2m", hook.address);
    let told = killed_while_telling(&hook, &telling_by(&format!("  webhook/main: {{ {webhook} }}"))).await;
    for Taken { headers, body } in &told {
        let signature = headers["x-spanmill-signature"].to_str().unwrap();
        let (seconds, code) = signature.strip_prefix("t=").and_then(|parts| parts.split_once(",v1=")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(HOOK_SECRET.as_bytes()).unwrap();
        mac.update(&[seconds.as_bytes(), b".", body].concat());
        let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(code, expected);
    }
    let keys: Vec<_> = told.iter().map(|told| told.headers["idempotency-key"].to_str().unwrap()).collect();
    let seen: Vec<_> = told.iter().map(|told| (told.json()["id"].clone(), told.json()["kind"].clone())).collect();
    assert_eq!(seen.iter().map(|(id, _)| id.as_str().unwrap()).collect::<Vec<_>>(), keys);
    let kinds: Vec<_> = seen.iter().map(|(_, kind)| kind.as_str().unwrap()).collect();
    assert_eq!(kinds, ["firing", "firing", "firing", "resolved", "firing"]);
    assert!(told[..3].iter().all(|again| again.body == told[0].body && keys[0] == again.headers["idempotency-key"]));
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 3, "{keys:?}");
}

// The same of an Alertmanager, to which an alert is its labels: it has one alert, whose beginning stays, then none, then the next.
#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_has_one_alert() {
    let Some(alertmanager) = Alertmanager::start().await else { return };
    let hook = Hook::start(Some(alertmanager.address())).await;
    let main = format!("url: \"http://{}\", resend_interval: 1h, timeout: 2m", hook.address);
    let told = killed_while_telling(&hook, &telling_by(&format!("  alertmanager/main: {{ {main} }}"))).await;
    assert_eq!(alertmanager.alerts().await, ["errors"]);
    assert_eq!((alertmanager.received("firing").await, alertmanager.received("resolved").await), (4, 1));
    let told: Vec<_> = told.iter().map(|told| told.json()[0].clone()).collect();
    assert!(told.iter().all(|alert| alert["labels"] == told[0]["labels"]), "{told:?}");
    let began: Vec<_> = told.iter().map(|alert| &alert["startsAt"]).collect();
    assert!(began[..4].iter().all(|at| *at == began[0]) && began[4] != began[0], "{began:?}");
}
