//! Encrypted connections: on all ports, with certificates that change, and with those that clients must show.

use std::net::SocketAddr;

use http::Method;
use spanmill_tests::{
    Addresses, Authority, Certificate, Client, Setup, Signal, Spanmill, TLS_VERSIONS, TlsClient, TlsConnection,
    eventually, get, grpc_frame, run_with,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::spans::{call, payload};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const FILES: &str = "tls: { cert_file: cert.pem, key_file: key.pem }";

/// A directory with a server's certificate in it.
fn directory(certificate: &Certificate) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    certificate.write(directory.path());
    directory
}

/// A call over an open connection.
async fn grpc(connection: &mut TlsConnection, id: u64) -> Option<Code> {
    let frame = grpc_frame(false, &payload(vec![call(id, "gpt-4o")]).body);
    let answer = connection.request(Method::POST, Signal::Traces.grpc_path(), &GRPC, frame).await;
    answer.ok().map(|answer| answer.grpc_code())
}

/// A call over a connection of its own.
async fn grpc_once(client: &TlsClient, address: SocketAddr, id: u64) -> Option<Code> {
    grpc(&mut client.connect(address, true).await.ok()?, id).await
}

// OTLP/gRPC, OTLP/HTTP over both versions of HTTP, and the admin server speak TLS 1.2 and 1.3, and nothing unencrypted.
#[tokio::test(flavor = "multi_thread")]
async fn all_ports_are_encrypted() {
    let authority = Authority::new();
    let setup = Setup { receiver: FILES, admin: FILES, ..Setup::default() };
    let spanmill = Spanmill::start_in(directory(&authority.issue()), &setup);
    let Addresses { grpc, http, admin, .. } = spanmill.addresses;
    let mut id = 0;
    for version in TLS_VERSIONS {
        let client = TlsClient::new(&authority, None, &[version]);
        id += 1;
        assert_eq!(grpc_once(&client, grpc, id).await, Some(Code::Ok), "{version:?}");
        for is_http2 in [false, true] {
            id += 1;
            let body = payload(vec![call(id, "gpt-4o")]).body;
            let mut connection = client.connect(http, is_http2).await.unwrap();
            let answer = connection.request(Method::POST, "/v1/traces", &[PROTOBUF], body).await.unwrap();
            assert_eq!(answer.status, 200, "{version:?}");
        }
        let answer = client.connect(admin, false).await.unwrap().request(Method::GET, "/readyz", &[], "").await;
        assert_eq!(answer.unwrap().text(), "ok\n");
    }
    assert_eq!(spanmill.counted(id).await.requests, id);
    let plain = payload(vec![call(99, "gpt-4o")]);
    assert!(Client::grpc(spanmill.addresses).send(&plain).await.is_err());
    spanmill.stop();
}

// A client that knows only TLS 1.1 is turned away with an alert.
#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_refused() {
    // A ClientHello of version 3.2, which is TLS 1.1, with one cipher suite and no extensions.
    let hello = [&[3, 2][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2f], &[1, 0]].concat();
    let handshake = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let record = [&[0x16, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();
    let spanmill =
        Spanmill::start_in(directory(&Authority::new().issue()), &Setup { receiver: FILES, ..Setup::default() });
    for address in [spanmill.addresses.grpc, spanmill.addresses.http] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&record).await.unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert_eq!((answer[0], answer[5]), (0x15, 2), "a fatal alert: {answer:?}");
    }
    spanmill.stop();
}

// A new certificate holds for new connections, an open one is not disturbed; files that are no good change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_followed() {
    let (old, new) = (Authority::new(), Authority::new());
    let spanmill = Spanmill::start_in(directory(&old.issue()), &Setup { receiver: FILES, ..Setup::default() });
    let address = spanmill.addresses.grpc;
    let (trusts_old, trusts_new) =
        (TlsClient::new(&old, None, &TLS_VERSIONS), TlsClient::new(&new, None, &TLS_VERSIONS));
    let mut open = trusts_old.connect(address, true).await.unwrap();
    assert_eq!(grpc(&mut open, 1).await, Some(Code::Ok));
    assert_eq!(grpc_once(&trusts_new, address, 2).await, None);

    let certificate = new.issue();
    // The certificate is there before its key: for a moment they do not belong together.
    std::fs::write(spanmill.directory().join("cert.pem"), &certificate.cert).unwrap();
    assert_eq!(grpc_once(&trusts_old, address, 2).await, Some(Code::Ok));
    certificate.write(spanmill.directory());
    eventually("the new certificate is shown", async || grpc_once(&trusts_new, address, 3).await).await;
    assert_eq!(grpc_once(&trusts_old, address, 4).await, None);
    assert_eq!(grpc(&mut open, 4).await, Some(Code::Ok));
    spanmill.stop();
}

// With client_ca_file only clients with a certificate of that authority are served, on every port.
#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let directory = directory(&servers.issue());
    std::fs::write(directory.path().join("clients.pem"), clients.pem()).unwrap();
    let tls = "tls: { cert_file: cert.pem, key_file: key.pem, client_ca_file: clients.pem }";
    let spanmill = Spanmill::start_in(directory, &Setup { receiver: tls, admin: tls, ..Setup::default() });
    let Addresses { grpc, http, admin, .. } = spanmill.addresses;
    let get = async |client: &TlsClient, address, path| {
        let mut connection = client.connect(address, false).await.ok()?;
        connection.request(Method::GET, path, &[], "").await.ok().map(|answer| answer.status.as_u16())
    };
    for version in TLS_VERSIONS {
        let known = TlsClient::new(&servers, Some(&clients.issue()), &[version]);
        assert_eq!(grpc_once(&known, grpc, 1).await, Some(Code::Ok));
        assert_eq!(get(&known, http, "/v1/traces").await, Some(405));
        assert_eq!(get(&known, admin, "/readyz").await, Some(200));
        for stranger in [None, Some(servers.issue())] {
            let stranger = TlsClient::new(&servers, stranger.as_ref(), &[version]);
            assert_eq!(grpc_once(&stranger, grpc, 2).await, None);
            assert_eq!(get(&stranger, http, "/v1/traces").await, None);
            assert_eq!(get(&stranger, admin, "/readyz").await, None);
        }
    }
    spanmill.stop();
}

// /metrics is encrypted, and asks who scrapes, if it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn scrapers_show_credentials() {
    let authority = Authority::new();
    let prometheus = "tls: { cert_file: cert.pem, key_file: key.pem }, auth: { bearer_tokens: [key] }";
    let setup = Setup { prometheus, ..Setup::default() };
    let spanmill = Spanmill::start_in(directory(&authority.issue()), &setup);
    let page = spanmill.addresses.prometheus;
    let client = TlsClient::new(&authority, None, &TLS_VERSIONS);
    for (headers, status) in
        [(&[][..], 401), (&[("authorization", "Bearer other")], 401), (&[("authorization", "Bearer key")], 200)]
    {
        let mut connection = client.connect(page, false).await.unwrap();
        let answer = connection.request(Method::GET, "/metrics", headers, "").await.unwrap();
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.text().contains("target_info"), status == 200);
    }
    let mut plain = TcpStream::connect(page).await.unwrap();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nauthorization: Bearer key\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    spanmill.stop();
}

// A client that connects and says nothing keeps nobody else from being served.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_keep_nobody_waiting() {
    let authority = Authority::new();
    let setup = Setup { receiver: FILES, admin: FILES, ..Setup::default() };
    let spanmill = Spanmill::start_in(directory(&authority.issue()), &setup);
    let Addresses { grpc, admin, .. } = spanmill.addresses;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(grpc).await.unwrap());
        silent.push(TcpStream::connect(admin).await.unwrap());
    }
    let client = TlsClient::new(&authority, None, &TLS_VERSIONS);
    assert_eq!(grpc_once(&client, grpc, 1).await, Some(Code::Ok));
    let answer = client.connect(admin, true).await.unwrap().request(Method::GET, "/livez", &[], "").await;
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(get(spanmill.addresses.prometheus, "/metrics").await.status, 200);
    drop(silent);
    spanmill.stop();
}

// Commands that ask a running server know it by the certificate in its configuration, or by an authority, and show it a token, a user
// or a certificate; what they lack they say, and no secret.
#[tokio::test(flavor = "multi_thread")]
async fn commands_know_the_server_and_are_known() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    clients.issue().write(files.path());
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("stranger.pem"), authority.issue().cert).unwrap();

    let admin = format!("{FILES}, auth: {{ bearer_tokens: [key] }}");
    let setup = Setup { admin: admin.clone().leak(), ..Setup::default() };
    let by_token = Spanmill::start_in(directory(&authority.issue()), &setup);
    let admin =
        "tls: { cert_file: cert.pem, key_file: key.pem, client_ca_file: clients.pem }, auth: { basic_file: users }";
    let directory = directory(&authority.issue());
    std::fs::write(directory.path().join("clients.pem"), clients.pem()).unwrap();
    std::fs::write(directory.path().join("users"), "bob:builder\n").unwrap();
    let by_user = Spanmill::start_in(directory, &Setup { admin, ..Setup::default() });

    let configured = |cert_file: &str| {
        let (endpoint, directory) = (by_token.addresses.admin, by_token.directory().display());
        let tls = format!("{{ cert_file: {cert_file}, key_file: {directory}/key.pem }}");
        let text = format!("admin: {{ endpoint: {endpoint}, tls: {tls}, auth: {{ bearer_tokens: [key] }} }}\n");
        let file = path("client.yaml");
        std::fs::write(&file, text).unwrap();
        vec!["--config".to_owned(), file]
    };
    let url = |server: &Spanmill| format!("https://localhost:{}", server.addresses.admin.port());
    let at = |server: &Spanmill| vec!["--server".to_owned(), url(server), "--ca-file".to_owned(), path("ca.pem")];
    let shows = ["--cert-file".to_owned(), path("cert.pem"), "--key-file".to_owned(), path("key.pem")];
    let own = by_token.directory().join("cert.pem");
    let without_tls = vec!["--server".to_owned(), url(&by_token).replace("https", "http")];
    let without_authority = vec!["--server".to_owned(), url(&by_token)];
    let user = [("SPANMILL_ADMIN_USER", "bob"), ("SPANMILL_ADMIN_PASSWORD", "builder")];
    let token = [("SPANMILL_ADMIN_TOKEN", "key")];
    let wrong = [("SPANMILL_ADMIN_TOKEN", "wrong-token")];
    for (arguments, environment, expected) in [
        (configured(own.to_str().unwrap()), &[][..], None),
        (at(&by_token), &token, None),
        ([at(&by_user), shows.to_vec()].concat(), &user, None),
        (at(&by_token), &[], Some("asks for credentials: set SPANMILL_ADMIN_TOKEN")),
        (at(&by_token), &wrong, Some("401 Unauthorized")),
        (at(&by_token), &user[..1], Some("of SPANMILL_ADMIN_USER and SPANMILL_ADMIN_PASSWORD only one is set")),
        (at(&by_user), &user, Some("name one with --cert-file and --key-file")),
        ([at(&by_user), shows.to_vec()].concat(), &[], Some("or SPANMILL_ADMIN_USER and SPANMILL_ADMIN_PASSWORD")),
        (without_authority, &token, Some("name its authority with --ca-file")),
        (without_tls, &token, Some("give its address as https://")),
    ] {
        for command in ["monitors", "alerts", "errors", "prices --unpriced"] {
            let command: Vec<&str> = command.split(' ').collect();
            let arguments: Vec<&str> = command.into_iter().chain(arguments.iter().map(|text| &**text)).collect();
            let output = run_with(environment, &arguments);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            match expected {
                None => assert!(output.status.success(), "{arguments:?}: {said}"),
                Some(expected) => assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}"),
            }
            assert!(!said.contains("wrong-token") && !said.contains("builder"), "{said}");
            if expected.is_some() {
                break;
            }
        }
    }
    let output = run_with(
        &[],
        &[&["monitors"], &*configured(&path("stranger.pem")).iter().map(|text| &**text).collect::<Vec<_>>()].concat(),
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another certificate than admin.tls.cert_file holds"), "{said}");
    by_token.stop();
    by_user.stop();
}
