//! How the pipeline is set in loops over its parts.

use std::sync::Arc;

use aggregate::{DuplicateSettings, Forms, Layout, Pricing, Semconv, Settings, SettleSettings};
use genai::price::{Catalogue, Overrides, PriceError, Prices};

const SECOND: u64 = 1_000_000_000;

/// Settings of a pipeline as the server's defaults make them, with `memory` bytes for calls that are held.
///
/// # Errors
/// If the built-in prices can't be read.
pub fn pipeline(memory: usize) -> Result<Settings, PriceError> {
    let kept = ["service.name", "service.namespace", "deployment.environment.name"];
    Ok(Settings {
        layout: Layout {
            resource_attributes: kept.map(str::to_owned).to_vec(),
            dimensions: Vec::new(),
            max_label_length: 256,
        },
        semconv: Semconv::V1_41,
        cardinality_limit: 10_000,
        error_records: 100_000,
        instance_id: "bench".to_owned(),
        delta: Forms::default(),
        cumulative: Forms { explicit: true, exponential: false },
        error_logs: false,
        duplicates: DuplicateSettings { window: 1800 * SECOND, max_entries: 2_000_000 },
        settle: SettleSettings { wait: 10 * SECOND, memory, merge_unlinked: false },
        pending: None,
        pricing: Pricing {
            prices: Arc::new(Prices::new(Catalogue::builtin()?, Overrides::default())),
            honour_supplied: true,
        },
        redactor: genai::Redactor::Keep,
        watched: true,
    })
}
