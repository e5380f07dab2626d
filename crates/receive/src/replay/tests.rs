//! Replay of real files in a temporary directory.
use super::*;
use std::fs;

const SPANS: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#;
const LOGS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"b"}]}]}]}"#;

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

// A directory is read in sorted order, signals told by name or key, foreign files passed over, all bytes accounted for.
#[test]
fn directory_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write(root, "b/02.logs.binpb", b"logs");
    write(root, "b/01.metrics.binpb", b"metrics");
    write(root, "a.jsonl", format!("{SPANS}\n\n{LOGS}\r\n"));
    write(root, "c.binpb", b"unnamed");
    write(root, "truth.json", "{\n  \"requests\": 3\n}");
    write(root, "readme.md", "text");
    let mut replay = Replay::open([root]).unwrap();
    assert_eq!(replay.skipped(), [root.join("truth.json")]);
    let mut seen = Vec::new();
    for item in replay.by_ref() {
        let entry = item.unwrap();
        let name = entry.place.to_string().replace(&format!("{}/", root.display()), "");
        seen.push((name, entry.request.signal, entry.request.body.is_empty()));
    }
    let expected = [
        ("a.jsonl:1", Signal::Traces),
        ("a.jsonl:3", Signal::Logs),
        ("b/01.metrics.binpb", Signal::Metrics),
        ("b/02.logs.binpb", Signal::Logs),
        ("c.binpb", Signal::Traces),
    ];
    assert_eq!(seen, expected.map(|(name, signal)| (name.to_owned(), signal, false)));
    assert_eq!(replay.position(), replay.total_bytes());
}

// A bad line is an error that names file and line, and the good lines around it are read.
#[test]
fn bad_lines_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "x.json", format!("{SPANS}\n{{broken\n{{\"other\":1}}\n{SPANS}"));
    let results: Vec<_> = Replay::open([&path]).unwrap().map(|item| item.map_err(|error| error.to_string())).collect();
    let [Ok(_), Err(broken), Err(other), Ok(last)] = &results[..] else { panic!("{results:?}") };
    assert!(broken.starts_with(&format!("{}:2: ", path.display())), "{broken}");
    assert!(other.contains(":3: none of resourceSpans"), "{other}");
    assert_eq!(last.place.line, Some(4));
}

// A request beyond 64 MiB is refused without being held, and the line after it is read.
#[test]
fn oversize_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let huge = " ".repeat(MAX_REQUEST_SIZE + 10);
    let lines = write(directory.path(), "x.jsonl", format!("{huge}\n{SPANS}\n"));
    let file = write(directory.path(), "x.binpb", &huge);
    let mut replay = Replay::open([lines, file]).unwrap();
    assert!(matches!(replay.next(), Some(Err(ReplayError::TooLarge { place })) if place.line == Some(1)));
    assert!(matches!(replay.next(), Some(Ok(entry)) if entry.place.line == Some(2)));
    assert!(matches!(replay.next(), Some(Err(ReplayError::TooLarge { .. }))));
    assert!(replay.next().is_none());
    assert_eq!(replay.position(), replay.total_bytes());
}

// What is named must exist and be of a known kind.
#[test]
fn unknown_paths_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = write(directory.path(), "notes.txt", "x");
    assert!(matches!(Replay::open([text]), Err(ReplayError::UnknownKind { .. })));
    assert!(matches!(Replay::open([directory.path().join("missing")]), Err(ReplayError::Read { .. })));
}

// Standard input is JSON lines or one protobuf request, as its first byte says; nothing is a request of nothing.
#[test]
fn the_first_byte_tells() {
    for (input, expected) in [
        (SPANS.as_bytes(), Kind::JsonLines),
        (b"\x0a\x00", Kind::Protobuf(Signal::Traces)),
        (b"", Kind::Protobuf(Signal::Traces)),
    ] {
        let (kind, mut reader) = told_by_first_byte(input).unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!((kind, read.as_slice()), (expected, input));
    }
}
