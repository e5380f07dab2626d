//! CrewAI's own telemetry: product analytics, no calls.

use super::{Dialect, PLAIN};

pub(super) const DIALECT: Dialect = Dialect {
    name: "crewai_native",
    title: "CrewAI telemetry",
    scopes: &["crewai.telemetry"],
    source: "crewAIInc/crewAI@f4731f5 lib/crewai/src/crewai/telemetry/telemetry.py",
    ..PLAIN
};
