//! Prices of the user's own.

use super::*;

/// What loading prices says, with the folder of the files cut.
fn problems(catalogue: Option<&str>, overrides: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let sources = PriceSources {
        catalogue: catalogue
            .map_or(CatalogueSource::Builtin, |json| CatalogueSource::File(write("catalogue.json".to_owned(), json))),
        overrides: (1..).zip(overrides).map(|(number, yaml)| write(format!("{number}.yaml"), yaml)).collect(),
        supplied_cost: SuppliedCost::Honour,
    };
    match sources.load() {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&format!("{}/", folder.path().display()), ""),
    }
}

// The annotated example of overrides works.
#[test]
fn the_annotated_overrides_are_supported() {
    assert_eq!(problems(None, &[include_str!("../../../../../config/prices.yaml"), "", "prices: []\n"]), "");
}

// What is wrong with an override is named with its file and line, all of it at once.
#[test]
fn mistakes_in_overrides_are_named_with_their_place() {
    let yaml = "prices:\n  - match: a\n    inptu: 1\n    output: x\n  - match: b\n";
    assert_eq!(
        problems(None, &["prices:\n  - { match: a, input: 0.10 }\n", yaml]).lines().collect::<Vec<_>>(),
        [
            r#"2.yaml:3:5: unknown key "prices[0].inptu" (did you mean "input"?), expected one of match, provider, from, until, input, cache_read, cache_write, cache_write_1h, output, reasoning, tiers, batch_factor, batch"#,
            r#"2.yaml:4:5: "prices[0].output": expected a decimal number of dollars, found "x""#,
        ]
    );
    let one = |yaml| problems(None, &[yaml]);
    assert_eq!(
        one("prices:\n  - match: a\n    output: x\n"),
        r#"1.yaml:3:5: "prices[0].output": expected a decimal number of dollars, found "x""#
    );
    assert_eq!(
        one("prices:\n  - { match: a, input: 1 }\n  - match: b\n"),
        r#"1.yaml:3:5: "prices[1]": expected a price of input, of output, or of both, found a mapping"#
    );
    assert_eq!(one("prices: [{ input: 1 }]"), r#"1.yaml:1:10: "prices[0]": "match" is missing"#);
    assert_eq!(one("prices: [\n"), "1.yaml:1:9: not valid YAML: unclosed bracket '['");
}

// What is wrong with a catalogue is named with its file and line.
#[test]
fn mistakes_in_a_catalogue_are_named_with_their_place() {
    let catalogue = |json: &str| problems(Some(json), &[]);
    assert_eq!(catalogue("[]"), "");
    let model = |rest: &str| format!("[{{\"id\": \"p\", \"models\": [\n  {{\"id\": \"m\",\n   {rest}\n  }}]}}]");
    assert_eq!(
        catalogue(&model(r#""match": {"equals": "m"}, "prices": {"input_mtok": -1}"#)),
        r#"catalogue.json:3:55: provider "p", model "m", prices.input_mtok: expected a price that is not negative, found "-1""#
    );
    let cases = [
        (
            r#""match": {"soundex": "m"}, "prices": {}"#,
            "catalogue.json:3:13: provider \"p\", model \"m\", match: unknown variant `soundex`",
        ),
        (r#""match": {"equals": "m"}"#, "missing field `prices`"),
        ("", "catalogue.json:4:3: not a price catalogue in the genai-prices v2 format: key must be a string"),
    ];
    for (rest, wanted) in cases {
        let said = catalogue(&model(rest));
        assert!(said.contains(wanted), "{said}");
    }
    assert!(problems(Some("{}"), &[]).starts_with("catalogue.json:1:0: not a price catalogue"));
}

// A file that is not there is named.
#[test]
fn missing_files_are_named() {
    let sources = PriceSources { overrides: vec!["/nowhere/prices.yaml".into()], ..PriceSources::default() };
    assert!(sources.load().unwrap_err().to_string().starts_with("cannot read /nowhere/prices.yaml: "));
}
