//! Who is told, as it is written.

use super::*;

const EVERYTHING: &str = r#"
notifiers:
  webhook/oncall: { url: "https://hooks.example.com/a", secret: s3cr3t-1, headers: { authorization: s3cr3t-2 }, timeout: 3s }
  alertmanager/main: { url: "http://127.0.0.1:9093/", labels: { cluster: east }, resend_interval: 30s }
  email/team:
    server: mail.example.com:587
    username: spanmill
    password: s3cr3t-3
    from: Spanmill <spanmill@example.com>
    to: [a@example.com, b@example.com]
    retry_on_failure: { max_age: 0s }
"#;

// Guarantees that every kind of notifier can be written, what it means, and that none of its secrets is shown.
#[test]
fn everything_can_be_written() {
    let config = load(EVERYTHING).unwrap().config;
    let [webhook, alertmanager, email] = &config.notifiers.meant()[..] else { panic!("three notifiers") };
    assert_eq!((&*webhook.name, webhook.timeout), ("webhook/oncall", Duration::from_secs(3)));
    assert_eq!(webhook.retry, notify::Retry::default());
    let notify::Channel::Webhook(hook) = &webhook.channel else { panic!("a webhook") };
    assert_eq!(hook.secret, Some(Secret::new("s3cr3t-1")));
    assert_eq!(hook.headers, [("authorization".to_owned(), Secret::new("s3cr3t-2"))]);
    let notify::Channel::Alertmanager(main) = &alertmanager.channel else { panic!("an Alertmanager") };
    assert_eq!((&*main.url, main.resend), ("http://127.0.0.1:9093/", Duration::from_secs(30)));
    let notify::Channel::Email(mail) = &email.channel else { panic!("mail") };
    assert_eq!((&*mail.host, mail.port, mail.encryption), ("mail.example.com", 587, notify::Encryption::Starttls));
    assert_eq!(mail.credentials, Some(("spanmill".to_owned(), Secret::new("s3cr3t-3"))));
    assert_eq!(email.retry.max_age, None);

    let shown = format!("{config:?} {:?} {}", config.notifiers.meant(), effective_yaml(&config).unwrap());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(effective_yaml(&config).unwrap().contains("https://hooks.example.com/***"));
    let without = EVERYTHING.replace("hooks.example.com/a", "hooks.example.com");
    let without = without.replace(", secret: s3cr3t-1, headers: { authorization: s3cr3t-2 }", "");
    let without = without.replace("    username: spanmill\n    password: s3cr3t-3\n", "");
    let config = load(&without).unwrap().config;
    let written = effective_yaml(&config).unwrap();
    assert_eq!(load(&written).unwrap().config, config, "{written}");
}

// Guarantees that what could tell nobody, or would show a password on the way, is refused by name and line, and shows no secret.
#[test]
fn mistakes_are_named() {
    let email = |more: &str| format!("notifiers:\n  email/a: {{ from: a@b.c, to: [a@b.c], {more} }}");
    let webhook = |more: &str| format!("notifiers:\n  webhook/a: {{ url: \"http://a\", {more} }}");
    for (source, expected) in [
        (
            "notifiers: { pager/a: {} }".to_owned(),
            r#"1:14: unknown key "notifiers.pager/a", expected one of webhook/NAME, alertmanager/NAME, email/NAME"#,
        ),
        (
            email("server: \"mail:25\", tls: none"),
            r#"2:59: "notifiers.email/a.tls": mail to other machines is encrypted: expected starttls or implicit, found "none""#,
        ),
        (email("server: \"mail:25\", username: b"), r#"2:59: "notifiers.email/a.username": "password" is missing"#),
        (
            email("server: \"mail:25\"").replace("[a@b.c]", "[]"),
            r#"2:27: "notifiers.email/a.to": expected addresses such as oncall@example.com, found a list"#,
        ),
        (webhook("secret: \"\""), r#"2:33: "notifiers.webhook/a.secret": expected a key to sign with"#),
        (webhook("secret: [hush]"), r#"2:33: "notifiers.webhook/a.secret": expected a text"#),
        (webhook("timeout: 0s"), r#"2:33: "notifiers.webhook/a.timeout": expected at least 1ms, found "0s""#),
    ] {
        assert_eq!(load(&source).unwrap_err(), format!("spanmill.yaml:{expected}"), "{source}");
    }
}

// Guarantees that the examples in the annotated file work.
#[test]
fn the_annotated_examples_are_supported() {
    let annotated = include_str!("../../../../../config/spanmill.yaml");
    let examples = annotated.lines().skip_while(|line| !line.starts_with("notifiers:")).skip(1);
    let examples = examples.map_while(|line| line.strip_prefix('#'));
    let source: Vec<&str> = std::iter::once("notifiers:").chain(examples).collect();
    let source = source.join("\n").replace("${env:HOOK_SECRET}", "a").replace("${env:MAIL_PASSWORD}", "a");
    let names: Vec<String> = load(&source).unwrap().config.notifiers.meant().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["webhook/oncall", "alertmanager/main", "email/team"]);
}
