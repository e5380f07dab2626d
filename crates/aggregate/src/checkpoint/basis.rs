//! What the state rests on beside the records that were applied.

use std::fmt::Debug;
use std::sync::LazyLock;

use rapidhash::v3::rapidhash_v3;

use crate::pipeline::Settings;

/// A hash of the dialect table.
static DIALECTS: LazyLock<u64> = LazyLock::new(|| hash(&genai::dialects::all().collect::<Vec<_>>()));

impl Settings {
    /// Tells whether the same records come to the same state: a hash of the version of this crate, the dialect table, the
    /// version of the prices, and of the settings that decide what is counted and as what. How much is kept of errors, who
    /// gets what, how often, and the key with which content is hashed are not among them.
    pub fn fingerprint(&self) -> u64 {
        let pricing = (self.pricing.prices.version(), self.pricing.honour_supplied);
        let recognised = (self.settle, self.duplicates);
        let settings =
            (&self.layout, self.semconv, self.cardinality_limit, recognised, &self.redactor, self.has_exponential());
        let basis = (env!("CARGO_PKG_VERSION"), *DIALECTS, pricing, settings);
        hash(&basis)
    }
}

/// A hash of all that something says of itself.
fn hash(basis: &impl Debug) -> u64 {
    rapidhash_v3(format!("{basis:?}").as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use genai::Redactor;
    use genai::price::{Catalogue, Overrides, Prices};

    use crate::collect::Forms;
    use crate::descriptions::Semconv;
    use crate::duplicates::DuplicateSettings;
    use crate::key::Layout;
    use crate::pipeline::Settings;
    use crate::pricing::Pricing;
    use crate::settle::SettleSettings;

    pub(in crate::checkpoint) fn prices(overrides: &str) -> Arc<Prices> {
        let mut all = Overrides::default();
        all.push("test", serde_json::from_str(&format!("{{\"prices\": {overrides}}}")).unwrap());
        Arc::new(Prices::new(Catalogue::builtin().unwrap(), all))
    }

    pub(in crate::checkpoint) fn settings() -> Settings {
        Settings {
            layout: Layout { resource_attributes: vec!["a".to_owned()], dimensions: Vec::new(), max_label_length: 9 },
            semconv: Semconv::V1_41,
            cardinality_limit: 1,
            error_records: 1,
            instance_id: String::new(),
            delta: Forms { explicit: true, exponential: false },
            cumulative: Forms { explicit: true, exponential: false },
            error_logs: true,
            duplicates: DuplicateSettings { window: 1, max_entries: 1 },
            settle: SettleSettings { wait: 1, memory: 1, merge_unlinked: false },
            pending: None,
            pricing: Pricing { prices: prices("[]"), honour_supplied: true },
            redactor: Redactor::Keep,
            watched: false,
        }
    }

    // Every setting that decides what is counted changes the fingerprint, and those that don't leave it.
    #[test]
    fn what_decides_is_in_the_fingerprint() {
        let fingerprint = settings().fingerprint();
        let with = |change: fn(&mut Settings)| {
            let mut changed = settings();
            change(&mut changed);
            changed.fingerprint()
        };
        for change in [
            (|settings| settings.layout.resource_attributes.clear()) as fn(&mut Settings),
            |settings| settings.layout.dimensions.push("a".to_owned()),
            |settings| settings.layout.max_label_length = 8,
            |settings| settings.semconv = Semconv::Next,
            |settings| settings.cardinality_limit = 2,
            |settings| settings.settle.wait = 2,
            |settings| settings.duplicates.window = 2,
            |settings| settings.duplicates.max_entries = 2,
            |settings| settings.settle.memory = 2,
            |settings| settings.settle.merge_unlinked = true,
            |settings| settings.delta.exponential = true,
            |settings| settings.cumulative.exponential = true,
            |settings| settings.pricing.honour_supplied = false,
            |settings| settings.redactor = Redactor::Drop,
            |settings| settings.redactor = Redactor::hash(b"key"),
            |settings| settings.pricing.prices = prices(r#"[{"match": "x", "input": "1"}]"#),
        ] {
            assert_ne!(with(change), fingerprint);
        }
        let same = with(|settings| {
            settings.error_records = 2;
            settings.instance_id = "x".to_owned();
            (settings.delta.explicit, settings.pending) = (false, Some(1));
        });
        assert_eq!(same, fingerprint);
    }
}
