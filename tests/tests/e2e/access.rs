//! Who may call: nobody gets in without credentials, over no transport and to no server.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use prost::Message;
use spanmill_tests::{PATIENCE, Setup, Spanmill, eventually, get, get_with, grpc_call, grpc_frame, post, run};
use tonic::Code;
use tonic_types::Status as RpcStatus;

use crate::spans::{call, payload};

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

fn body(id: u64) -> Bytes {
    payload(vec![call(id, "gpt-4o")]).body
}

/// The answers of both servers to a call with this header.
async fn answers(spanmill: &Spanmill, id: u64, authorization: Option<&str>) -> (Code, u16) {
    let authorization: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
    let headers = [&[PROTOBUF], authorization.as_slice()].concat();
    let http = post(spanmill.addresses.http, "/v1/traces", &headers, body(id)).await;
    let frame = grpc_frame(false, &body(id));
    let grpc = grpc_call(spanmill.addresses.grpc, METHOD, &authorization, frame).await;
    (grpc.grpc_code(), http.status.as_u16())
}

const GOOD: (Code, u16) = (Code::Ok, 200);
const BAD: (Code, u16) = (Code::Unauthenticated, 401);

// Each of several tokens is let in over both servers; a wrong one or none is UNAUTHENTICATED and 401, counted as such, and
// its spans are not.
#[tokio::test(flavor = "multi_thread")]
async fn bearer_tokens() {
    let spanmill = Spanmill::start(&Setup { receiver: "auth: { bearer_tokens: [one, two] }", ..Setup::default() });
    for (number, authorization) in
        [None, Some("Bearer three"), Some("Basic b25lOm9uZQ=="), Some("one")].into_iter().enumerate()
    {
        assert_eq!(answers(&spanmill, 100 + number as u64, authorization).await, BAD, "{authorization:?}");
    }
    assert_eq!(answers(&spanmill, 1, Some("Bearer one")).await, GOOD);
    assert_eq!(answers(&spanmill, 2, Some("bearer two")).await, GOOD);
    assert_eq!(spanmill.counted(2).await.requests, 2);
    assert_eq!(spanmill.sample("spanmill_receiver_requests", &[("outcome", "unauthenticated")]).await, 8);
    spanmill.stop();
}

// The 401 says what is wanted, as a google.rpc.Status in the type of the request.
#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_says_what_is_wanted() {
    let spanmill = Spanmill::start(&Setup { receiver: "auth: { bearer_tokens: [one] }", ..Setup::default() });
    let answer = post(spanmill.addresses.http, "/v1/traces", &[PROTOBUF], body(1)).await;
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"spanmill\"");
    let status = RpcStatus::decode(answer.body.clone()).unwrap();
    assert_eq!(status.code, Code::Unauthenticated as i32);
    assert!(status.message.contains("Bearer"), "{}", status.message);
    let answer = post(spanmill.addresses.http, "/v1/traces", &[JSON], "{}").await;
    assert_eq!(answer.json()["code"], Code::Unauthenticated as i32);
    // Whoever may not call does not learn what there is.
    assert_eq!(get(spanmill.addresses.http, "/nowhere").await.status, 401);
    spanmill.stop();
}

// The refusal comes on the headers: no byte of the body is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_read() {
    let spanmill = Spanmill::start(&Setup { receiver: "auth: { bearer_tokens: [one] }", ..Setup::default() });
    let mut client = TcpStream::connect(spanmill.addresses.http).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 401");
    spanmill.stop();
}

// A token is taken back and another given out by changing the file, without a restart; a file without tokens changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_tokens_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tokens"), "# first\nold\n").unwrap();
    let setup = Setup { receiver: "auth: { bearer_tokens_file: tokens }", ..Setup::default() };
    let spanmill = Spanmill::start_in(directory, &setup);
    assert_eq!(answers(&spanmill, 1, Some("Bearer old")).await, GOOD);
    assert_eq!(answers(&spanmill, 2, Some("Bearer new")).await, BAD);
    let write = |content| std::fs::write(spanmill.directory().join("tokens"), content).unwrap();
    write("new\n");
    eventually("the new token is let in", async || {
        (answers(&spanmill, 2, Some("Bearer new")).await == GOOD).then_some(())
    })
    .await;
    assert_eq!(answers(&spanmill, 3, Some("Bearer old")).await, BAD);
    write("");
    write("newer\n");
    eventually("the newer token is let in", async || {
        (answers(&spanmill, 2, Some("Bearer newer")).await == GOOD).then_some(())
    })
    .await;
    spanmill.stop();
}

// Users of an htpasswd file are let in with their passwords.
#[tokio::test(flavor = "multi_thread")]
async fn users_with_passwords() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("htpasswd"), "bob:builder\n").unwrap();
    let setup = Setup { receiver: "auth: { basic_file: htpasswd }", ..Setup::default() };
    let spanmill = Spanmill::start_in(directory, &setup);
    assert_eq!(answers(&spanmill, 2, Some("Basic Ym9iOmJ1aWxkZXI=")).await, GOOD, "bob:builder");
    assert_eq!(answers(&spanmill, 3, Some("Basic Ym9iOmJ1aWxkZQ==")).await, BAD, "bob:builde");
    let answer = post(spanmill.addresses.http, "/v1/traces", &[PROTOBUF], body(1)).await;
    assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"spanmill\"");
    spanmill.stop();
}

// The admin server asks for its own credentials wherever something is told or done, its health checks for none; `spanmill prices --unpriced` shows its token.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_asks_too() {
    let sections = "monitors: [{ name: chat }]\n".to_owned();
    let spanmill = Spanmill::start(&Setup { admin: "auth: { bearer_tokens: [key] }", sections, ..Setup::default() });
    let admin = spanmill.addresses.admin;
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(admin, path).await.status, 200, "{path}");
    }
    let key = ("authorization", "Bearer key");
    // "me:key"
    let typed = ("authorization", "Basic bWU6a2V5");
    for (path, status) in [
        ("/api/errors", 200),
        ("/api/prices/unpriced", 200),
        ("/api/nothing", 404),
        ("/api/", 404),
        ("/", 200),
        ("/monitors", 200),
        ("/nothing", 404),
        ("/assets/console.js", 200),
        ("/assets/console.css", 200),
        ("/assets/icon.svg", 200),
        ("/api/v1/overview", 200),
        ("/api/v1/monitors", 200),
        ("/api/v1/monitors/chat", 200),
        ("/api/v1/openapi.json", 200),
        ("/api/v1/nothing", 404),
    ] {
        let answer = get(admin, path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"spanmill\"", "a browser asks for it");
        if path.starts_with("/api/") {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["status"], 401);
        } else {
            assert!(answer.text().starts_with("credentials are missing or wrong"), "{}", answer.text());
        }
        assert_eq!(get_with(admin, path, &[("authorization", "Bearer other")]).await.status, 401, "{path}");
        assert_eq!(get_with(admin, path, &[key]).await.status, status, "{path}");
        assert_eq!(get_with(admin, path, &[typed]).await.status, status, "{path}");
    }
    // This one has no end once it is answered.
    assert_eq!(get(admin, "/api/v1/events").await.status, 401);
    let monitor = r#"{ "name": "mine" }"#;
    for (path, body) in
        [("/api/v1/monitors", monitor), ("/api/v1/monitors/chat/pause", "{}"), ("/api/v1/alerts", "{}"), ("/", "")]
    {
        assert_eq!(post(admin, path, &[JSON], body).await.status, 401, "{path}");
    }
    let monitors = async || get_with(admin, "/api/v1/monitors", &[key]).await.json();
    assert!(
        monitors().await.as_array().unwrap().len() == 1 && monitors().await[0]["state"] == "active",
        "nothing was done"
    );
    assert_eq!(post(admin, "/api/v1/monitors", &[JSON, key], monitor).await.status, 201);
    assert_eq!(monitors().await[1]["name"], "mine");
    let config = spanmill.directory().join("command.yaml");
    let content = format!("admin: {{ endpoint: \"{admin}\", auth: {{ bearer_tokens: [key] }} }}\n");
    std::fs::write(&config, content).unwrap();
    let output = run(&["--config", config.to_str().unwrap(), "prices", "--unpriced"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    spanmill.stop();
}

// Without credentials Spanmill does not listen to other machines, and says why; nor does it start with a file that is no good.
#[test]
fn a_server_that_anybody_could_call_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("open.yaml");
    let grpc = "receivers: { otlp: { protocols: { grpc: { endpoint: \"0.0.0.0:0\" } }";
    let no_file = "receivers: { otlp: { auth: { bearer_tokens_file: /does/not/exist } } }";
    for (content, said) in [
        (format!("{grpc} }} }}\n"), "listening beyond loopback without auth is refused"),
        ("admin: { endpoint: \"[::]:0\" }\n".to_owned(), "listening beyond loopback without auth is refused"),
        // What stands there may be a token.
        (format!("{no_file}\n"), "\"receivers.otlp.auth.bearer_tokens_file\": No such file"),
    ] {
        std::fs::write(&path, content).unwrap();
        for arguments in [["check-config", path.to_str().unwrap()], ["--config", path.to_str().unwrap()]] {
            let output = run(&arguments);
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(64), "{stderr}");
            assert!(stderr.contains(said), "{stderr}");
        }
    }
}

// Neither configured nor shown secrets are in the log, whatever is logged.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_logged() {
    let receiver = "auth: { bearer_tokens: [hunter2] }";
    let spanmill = Spanmill::start(&Setup { receiver, log: "trace", ..Setup::default() });
    assert_eq!(answers(&spanmill, 1, Some("Bearer hunter2")).await, GOOD);
    assert_eq!(answers(&spanmill, 2, Some("Bearer hunter3")).await, BAD);
    let log = spanmill.stop().log;
    assert!(log.contains("unauthenticated") || log.contains("credentials"), "the log is one at trace level");
    assert!(!log.contains("hunter"), "{}", log.lines().find(|line| line.contains("hunter")).unwrap());
}
