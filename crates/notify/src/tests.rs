//! Notifiers against servers on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use monitor::{DeliveryOutcome, NotificationKind, Resolution};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;

use crate::testing::{Server, eventually, meter, notification, notification_now};
use crate::*;

const SECRET: &str = "wh-key-93";
const TOKEN: &str = "tok-71c";

fn webhook(url: &str) -> Notifier {
    let webhook = Webhook {
        url: format!("{url}/hook"),
        secret: Some(Secret::new(SECRET)),
        headers: vec![("authorization".to_owned(), Secret::new(TOKEN))],
        ca_file: None,
    };
    notifier("webhook/oncall", Channel::Webhook(webhook))
}

fn alertmanager(url: &str, resend: Duration) -> Notifier {
    let alertmanager = Alertmanager {
        url: url.to_owned(),
        labels: BTreeMap::from([("cluster".to_owned(), "east".to_owned())]),
        resend,
        headers: Vec::new(),
        ca_file: None,
    };
    notifier("alertmanager/main", Channel::Alertmanager(alertmanager))
}

fn email(port: u16, encryption: Encryption) -> Notifier {
    let email = Email {
        host: "127.0.0.1".to_owned(),
        port,
        encryption,
        ca_file: None,
        credentials: None,
        from: "Spanmill <spanmill@example.com>".to_owned(),
        to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
    };
    notifier("email/team", Channel::Email(email))
}

fn notifier(name: &str, channel: Channel) -> Notifier {
    let retry = Retry { initial_interval: Duration::from_millis(10), ..Retry::default() };
    Notifier { name: name.to_owned(), channel, timeout: Duration::from_secs(5), retry }
}

fn start(notifiers: &[Notifier]) -> (Notifiers, Receiver<Settled>) {
    Notifiers::start(notifiers, &meter()).unwrap()
}

async fn settled(receiver: &mut Receiver<Settled>) -> Settled {
    tokio::time::timeout(Duration::from_secs(20), receiver.recv()).await.expect("in time").expect("it runs")
}

// A webhook that fails first gets the notification again, with the same key and a signature that receivers can compute; it is settled
// once. What it was told was wrong is to be read, and no secret is.
#[tokio::test]
async fn webhook_is_tried_again() {
    let (url, server) = Server::start(&[(503, "busy, tok-71c"), (429, "")]).await;
    let (notifiers, mut through) = start(&[webhook(&url)]);
    let message = Message::new("one", notification_now(NotificationKind::Firing, 0));
    assert!(notifiers.offer("webhook/oncall", message.clone()));
    let Settled { notification, delivery } = settled(&mut through).await;
    assert_eq!((&*notification, &*delivery.notifier), (&*message.notification.id, "webhook/oncall"));
    let expected = (DeliveryOutcome::Delivered, 3, Some("http 429"));
    assert_eq!((delivery.outcome, delivery.attempts, delivery.error.as_deref()), expected);

    let received = server.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(request.path, "/hook");
        assert_eq!(request.header("idempotency-key"), message.key);
        assert_eq!(request.header("authorization"), TOKEN);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.json()["id"], message.key);
        assert_eq!(request.json()["kind"], "firing");
        let signature = request.header(SIGNATURE_HEADER);
        let (time, hash) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(&[time.as_bytes(), b".", &request.body].concat());
        let hash: Vec<u8> =
            (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap()).collect();
        mac.verify_slice(&hash).unwrap();
    }
    let [status] = &*notifiers.statuses().read() else { panic!("one notifier") };
    assert_eq!(status.counts, Counts { delivered: 1, failed_attempts: 2, ..Counts::default() });
    assert!(status.last_success.is_some());
    assert_eq!(status.last_error.as_ref().unwrap().1, "http 429");
    let shown = format!("{notifiers:?} {status:?} {:?}", webhook(&url));
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
}

// The signature is the one that Python's hmac and hashlib compute of the same.
#[test]
fn signature_is_what_others_compute() {
    let expected = "t=1790000000,v1=11fa07a5c755c1d417f3e497886152e991da83d5412d9b10f897ff47533e6944";
    assert_eq!(signature(b"wh-key-93", 1_790_000_000, b"{\"a\":1}"), expected);
}

// A server that answers with what it was sent shows no secret, nor a part of one.
#[tokio::test]
async fn echoed_secrets_are_masked() {
    for (secret, answer, shown) in [
        (TOKEN, "you sent tok-71c", "http 400: you sent ***"),
        ("Bearer s3cret-t0ken", "bad token s3cret-t0ken", "http 400: bad token ***"),
        ("Bearer s3cret-t0ken", "Bearer s3cret-t0ken", "http 400: ***"),
        ("key=s3cret-t0ken; user=me", "[s3cret-t0ken] of me", "http 400: [***] of me"),
    ] {
        let (url, _server) = Server::start(&[(400, answer)]).await;
        let Channel::Webhook(mut hook) = webhook(&url).channel else { panic!("a webhook") };
        hook.headers = vec![("authorization".to_owned(), Secret::new(secret))];
        let (notifiers, mut through) = start(&[notifier("webhook/oncall", Channel::Webhook(hook))]);
        notifiers.offer("webhook/oncall", Message::new("one", notification_now(NotificationKind::Firing, 0)));
        settled(&mut through).await;
        assert_eq!(notifiers.statuses().read()[0].last_error.as_ref().unwrap().1, shown);
    }
}

// A success whose body never ends is a success: it is not sent again.
#[tokio::test]
async fn a_success_that_stalls_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let patient = Notifier { timeout: Duration::from_millis(500), ..webhook(&url) };
    let (notifiers, mut through) = start(&[patient]);
    notifiers.offer("webhook/oncall", Message::new("one", notification_now(NotificationKind::Firing, 0)));
    let (mut connection, _) = listener.accept().await.unwrap();
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nwel").await.unwrap();
    settled(&mut through).await;
    assert_eq!(notifiers.statuses().read()[0].counts, Counts { delivered: 1, ..Counts::default() });
}

// What is refused for good is not tried again, and holds up nothing behind it.
#[tokio::test]
async fn refusals_are_final() {
    let (url, server) = Server::start(&[(404, "no such hook")]).await;
    let (notifiers, mut through) = start(&[webhook(&url)]);
    for number in 0..2 {
        let message = Message::new("one", notification_now(NotificationKind::Firing, number));
        assert!(notifiers.offer("webhook/oncall", message));
    }
    assert!(settled(&mut through).await.notification.ends_with("#0"));
    assert!(settled(&mut through).await.notification.ends_with("#1"));
    assert_eq!(server.received().len(), 2);
    let status = &notifiers.statuses().read()[0];
    assert_eq!(status.counts, Counts { delivered: 1, refused: 1, failed_attempts: 1, ..Counts::default() });
}

// What is too old by the time it fails is given up; it was tried.
#[tokio::test]
async fn old_notifications_are_given_up() {
    let (url, server) = Server::start(&[(503, "")]).await;
    let (notifiers, mut through) = start(&[webhook(&url)]);
    notifiers.offer("webhook/oncall", Message::new("one", notification(NotificationKind::Firing, 0)));
    settled(&mut through).await;
    assert_eq!(server.received().len(), 1);
    assert_eq!(notifiers.statuses().read()[0].counts, Counts { given_up: 1, failed_attempts: 1, ..Counts::default() });
}

// One that takes connections and never answers holds up itself: what it has no room for is left to the caller, others go on, and a stop
// does not wait for it.
#[tokio::test]
async fn hanging_notifier_holds_up_nobody() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, server) = Server::start(&[]).await;
    let stuck = Notifier {
        name: "webhook/stuck".to_owned(),
        timeout: Duration::from_secs(600),
        ..webhook(&format!("http://{}", hanging.local_addr().unwrap()))
    };
    let (notifiers, mut through) = start(&[stuck, webhook(&url)]);
    let message = |number| Message::new("one", notification_now(NotificationKind::Firing, number));
    let taken = (0..100).filter(|number| notifiers.offer("webhook/stuck", message(*number))).count();
    assert!((1..100).contains(&taken), "{taken}");
    notifiers.offer("webhook/oncall", message(0));
    assert_eq!(settled(&mut through).await.delivery.notifier, "webhook/oncall");
    assert_eq!(server.received().len(), 1);
    tokio::time::timeout(Duration::from_secs(10), notifiers.stop(Duration::from_millis(50))).await.unwrap();
}

// A stop lets an attempt under way end, so that what was delivered is known to be.
#[tokio::test]
async fn stop_waits_for_an_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (notifiers, mut through) = start(&[webhook(&format!("http://{}", listener.local_addr().unwrap()))]);
    notifiers.offer("webhook/oncall", Message::new("one", notification_now(NotificationKind::Firing, 0)));
    let (mut connection, _) = listener.accept().await.unwrap();
    let stopping = tokio::spawn(notifiers.stop(Duration::from_secs(20)));
    connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    settled(&mut through).await;
    stopping.await.unwrap();
    assert_eq!(through.recv().await, None);
}

// Alertmanager is told what fires at once, again and again while it lasts, each time to end later, and once that it is over.
#[tokio::test]
async fn alertmanager_hears_of_what_lasts() {
    let (url, server) = Server::start(&[]).await;
    let resend = Duration::from_millis(50);
    let (notifiers, mut through) = start(&[alertmanager(&url, resend)]);
    let firing = notification_now(NotificationKind::Firing, 0);
    notifiers.set_firing(vec![firing.incident.clone()]);
    notifiers.offer("alertmanager/main", Message::new("one", firing.clone()));
    settled(&mut through).await;
    server.wait_for(4).await;

    let mut resolved = notification_now(NotificationKind::Resolved, 1);
    resolved.incident.resolved = Some((resolved.at, Resolution::Recovered));
    resolved.incident.fired = firing.incident.fired;
    notifiers.set_firing(Vec::new());
    notifiers.offer("alertmanager/main", Message::new("one", resolved.clone()));
    settled(&mut through).await;
    tokio::time::sleep(5 * resend).await;
    let received = server.received();
    let ends = |at: usize| received[at].json()[0]["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (last, before) = (received.len() - 1, received.len() - 2);
    for (at, request) in received.iter().enumerate() {
        let body = request.json();
        assert_eq!((&*request.path, body.as_array().unwrap().len()), ("/api/v2/alerts", 1));
        let labels =
            serde_json::json!({"alertname": "errors", "monitor": "chat", "severity": "critical", "cluster": "east"});
        assert_eq!(body[0]["labels"], labels);
        let starts: jiff::Timestamp = body[0]["startsAt"].as_str().unwrap().parse().unwrap();
        assert_eq!(starts.as_nanosecond(), i128::from(firing.incident.fired));
        assert!(at == 0 || at == last || ends(at) > ends(at - 1), "{at}");
    }
    let resolved_at = |at: usize| ends(at).as_nanosecond() == i128::from(resolved.at);
    assert!(resolved_at(last) && !resolved_at(before), "told once that it is over");
}

/// Answers the mails of one connection after the other: what it says to a mail. Nobody at example.org is known, and who is at example.net
/// is known when he was asked for twice.
async fn smtp(listener: TcpListener, replies: Vec<&'static str>, mails: tokio::sync::mpsc::UnboundedSender<String>) {
    let mut asked_for = 0;
    for reply in replies {
        let (connection, _) = listener.accept().await.unwrap();
        let (read, mut write) = connection.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 test\r\n").await.unwrap();
        let mut mail = None::<String>;
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match (&mut mail, &*line) {
                (Some(text), ".") => {
                    mails.send(text.clone()).unwrap();
                    mail = None;
                    reply
                }
                (Some(text), line) => {
                    *text += &format!("{line}\n");
                    continue;
                }
                (None, "DATA") => {
                    mail = Some(String::new());
                    "354 go on"
                }
                (None, "QUIT") => "221 bye",
                (None, line) if line.starts_with("RCPT") && line.contains("@example.org") => "550 no such user",
                (None, line) if line.starts_with("RCPT") && line.contains("@example.net") && asked_for == 0 => {
                    asked_for += 1;
                    "451 later"
                }
                (None, _) => "250 fine",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    }
}

// Mail that a server defers is sent again with the same Message-ID, mail that it refuses is not; all receivers stand in one mail.
#[tokio::test]
async fn mail_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut mails) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(smtp(listener, vec!["451 later", "250 taken", "554 never", "554 never", "554 never"], sender));
    let (notifiers, mut through) = start(&[email(port, Encryption::None)]);
    let message = |number| Message::new("one", notification_now(NotificationKind::Firing, number));
    let (first, second) = (message(0), message(1));
    notifiers.offer("email/team", first.clone());
    notifiers.offer("email/team", second.clone());
    settled(&mut through).await;
    settled(&mut through).await;
    for key in [&first.key, &first.key, &second.key] {
        let mail = mails.recv().await.unwrap();
        assert!(mail.contains(&format!("Message-ID: <{key}@spanmill>")), "{mail}");
        assert!(mail.contains("To: a@example.com, b@example.com"), "{mail}");
        assert!(mail.contains("Subject: [critical] errors fires on chat"), "{mail}");
        assert!(mail.contains("threshold   0.1"), "{mail}");
    }
    let counts = notifiers.statuses().read()[0].counts;
    assert_eq!(counts, Counts { delivered: 1, refused: 1, failed_attempts: 2, ..Counts::default() });
}

// A receiver whom the server does not know costs nobody else the mail: each gets one of his own, once, also if another one's is deferred.
// It is refused if nobody is known.
#[tokio::test]
async fn unknown_receivers_cost_nobody_else_the_mail() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut mails) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(smtp(listener, vec!["250 taken"; 100], sender));
    let to = |addresses: &[&str]| {
        let Channel::Email(mut team) = email(port, Encryption::None).channel else { panic!("mail") };
        team.to = addresses.iter().map(|&address| address.to_owned()).collect();
        notifier(addresses[0], Channel::Email(team))
    };
    let some = ["gone@example.org", "a@example.com", "slow@example.net", "b@example.com"];
    let none = ["no@example.org", "never@example.org"];
    let (notifiers, mut through) = start(&[to(&some), to(&none)]);
    for (name, number) in [(some[0], 0), (none[0], 1)] {
        notifiers.offer(name, Message::new("one", notification_now(NotificationKind::Firing, number)));
        settled(&mut through).await;
    }
    let mut told = Vec::new();
    while let Ok(mail) = mails.try_recv() {
        told.extend(mail.lines().find_map(|line| line.strip_prefix("To: ").map(str::to_owned)));
    }
    assert_eq!(told, ["a@example.com", "b@example.com", "slow@example.net"]);
    let counts: Vec<Counts> = notifiers.statuses().read().iter().map(|status| status.counts).collect();
    let [delivered, refused] = [(1, 0), (0, 1)].map(|(delivered, refused)| Counts {
        delivered,
        refused,
        failed_attempts: 1,
        ..Counts::default()
    });
    assert_eq!(counts, [delivered, refused]);
}

// Where TLS is asked for, nothing is told to a server that has none.
#[tokio::test]
async fn mail_is_never_sent_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut mails) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(smtp(listener, vec!["250 taken"; 100], sender));
    let (notifiers, _through) = start(&[email(port, Encryption::Starttls)]);
    notifiers.offer("email/team", Message::new("one", notification_now(NotificationKind::Firing, 0)));
    let has_failed = || Some(notifiers.statuses().read()[0].clone()).filter(|status| status.counts.failed_attempts > 1);
    eventually("attempts that fail", has_failed).await;
    assert!(mails.try_recv().is_err());
    assert_eq!(notifiers.statuses().read()[0].counts.delivered, 0);
}

// What cannot be used is said before anything runs.
#[tokio::test]
async fn misconfigured_notifiers_are_refused() {
    let refused = |notifier: Notifier| Notifiers::start(&[notifier], &meter()).map(drop).unwrap_err().1;
    assert_eq!(refused(webhook("http://[")), NotifyError::Url);
    let Channel::Email(mut team) = email(25, Encryption::None).channel else { panic!("mail") };
    team.to = vec!["nobody".to_owned()];
    assert_eq!(refused(notifier("email/team", Channel::Email(team))), NotifyError::Address("nobody".to_owned()));
}
