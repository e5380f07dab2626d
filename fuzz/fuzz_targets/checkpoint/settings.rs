//! The settings under which checkpoints are written as seeds, and restored.

use std::sync::{Arc, LazyLock};

use spanmill_aggregate::{DuplicateSettings, Forms, Layout, Pricing, Semconv, Settings, SettleSettings};
use spanmill_genai::price::{Catalogue, Overrides, Prices};

static PRICES: LazyLock<Arc<Prices>> = LazyLock::new(|| {
    let catalogue = Catalogue::builtin().expect("the built-in catalogue is read");
    Arc::new(Prices::new(catalogue, Overrides::default()))
});

/// Few series, so that there are some for the rest. `pending` does not change the fingerprint.
pub fn settings(pending: Option<usize>) -> Settings {
    let layout =
        Layout { resource_attributes: vec!["service.name".to_owned()], dimensions: Vec::new(), max_label_length: 256 };
    Settings {
        layout,
        semconv: Semconv::V1_41,
        cardinality_limit: 3,
        error_records: 1_000,
        instance_id: "fuzz".to_owned(),
        delta: Forms { explicit: true, exponential: true },
        cumulative: Forms { explicit: true, exponential: false },
        error_logs: true,
        duplicates: DuplicateSettings { window: 1_800_000_000_000, max_entries: 1_000 },
        settle: SettleSettings { wait: 10_000_000_000, memory: 64 << 20, merge_unlinked: false },
        pending,
        pricing: Pricing { prices: Arc::clone(&PRICES), honour_supplied: true },
        redactor: spanmill_genai::Redactor::Keep,
        watched: true,
    }
}
