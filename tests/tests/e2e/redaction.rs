//! `derive.content`: prompts and completions are gone before anything is stored.

use spanmill_tests::{Client, Compression, Setup, Spanmill, Transport, archived_texts, corpus, run};

/// What the providers of the corpus answer.
const SAID: &str = "Fake answer";

/// Sends all that a client sent, over each transport in turn. Gives the tokens that were counted, and the texts in the archive.
async fn archived(derive: &'static str, client: &str) -> (u64, Vec<String>) {
    let spanmill = Spanmill::start(&Setup { derive, log: "trace", ..Setup::default() });
    let clients = corpus();
    let client = clients.iter().find(|found| found.name == client).unwrap();
    for (payload, transport) in client.payloads.iter().zip(Transport::ALL.into_iter().cycle()) {
        Client::new(spanmill.addresses, transport, Compression::Gzip).send(payload).await.unwrap();
    }
    let counted = spanmill.counted(client.truth.expected.requests).await;
    let stopped = spanmill.stop();
    assert!(!stopped.log.contains(SAID), "content is never logged");
    (counted.tokens.input, archived_texts(&stopped.archive()))
}

// With drop and hash nothing of what was said is in the archive, under the same keys; the tokens of attributes are counted all
// the same, and equal prompts have equal hashes.
#[tokio::test(flavor = "multi_thread")]
async fn content_is_dropped_or_hashed() {
    const CLIENT: &str = "otel-genai-1.3b0-langchain";
    const KEY: &str = "gen_ai.output.messages";
    let contains = |texts: &[String], said: &str| texts.iter().any(|text| text.contains(said));
    let (tokens, kept) = archived("content: keep", CLIENT).await;
    assert!(contains(&kept, SAID) && contains(&kept, KEY));
    let (tokens_without, dropped) = archived("content: drop", CLIENT).await;
    assert!(!contains(&dropped, SAID) && contains(&dropped, KEY));
    assert_eq!(tokens_without, tokens);
    let (_, hashed) = archived("content: hash, content_hash_key: 0123456789abcdef", CLIENT).await;
    assert!(!contains(&hashed, SAID) && contains(&hashed, KEY));
    assert_ne!(hashed, dropped);
}

// The key is masked wherever the configuration is shown, and one that could be guessed is refused without being shown.
#[test]
fn the_key_is_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let check = |derive: &str| {
        let path = directory.path().join("spanmill.yaml");
        std::fs::write(&path, format!("derive: {{ {derive} }}\n")).unwrap();
        let output = run(&["check-config", path.to_str().unwrap()]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = check("content: hash, content_hash_key: hunter2hunter2hunter2");
    assert!(code == Some(0) && !said.contains("hunter2") && said.contains("***"), "{said}");
    for bad in ["content: hash", "content: hash, content_hash_key: hunter2"] {
        let (code, said) = check(bad);
        assert!(code == Some(64) && !said.contains("hunter2") && said.contains("content_hash_key"), "{said}");
    }
}
