//! `spanmill prices MODEL`: how a price is found, and what a call comes to.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use genai::Usage;
use genai::price::Call;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::config::{self, Config};
use crate::failure::Failure;
use crate::server::unix_nanos;

/// A call whose cost is asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model as the application reports it, e.g. us.anthropic.claude-sonnet-4-5-20250929-v1:0.
    #[arg(value_name = "MODEL")]
    model: String,
    /// The model that answered, if it is called otherwise.
    #[arg(long, value_name = "MODEL")]
    response_model: Option<String>,
    /// The provider as OpenTelemetry calls it, e.g. openai or aws.bedrock.
    #[arg(long, value_name = "NAME", default_value = "")]
    provider: String,
    /// All prompt tokens, cached ones included.
    #[arg(long, value_name = "TOKENS")]
    input: Option<u32>,
    /// Prompt tokens read from a cache.
    #[arg(long, value_name = "TOKENS")]
    cache_read: Option<u32>,
    /// Prompt tokens written to a cache.
    #[arg(long, value_name = "TOKENS")]
    cache_write: Option<u32>,
    /// Those of them that are kept for an hour.
    #[arg(long = "cache-write-1h", value_name = "TOKENS")]
    cache_write_1h: Option<u32>,
    /// All generated tokens, reasoning included.
    #[arg(long, value_name = "TOKENS")]
    output: Option<u32>,
    /// Generated tokens of reasoning.
    #[arg(long, value_name = "TOKENS")]
    reasoning: Option<u32>,
    /// When the call was: 2026-01-31 or 2026-01-31T12:00:00Z; without it, now.
    #[arg(long, value_name = "DATE", value_parser = nanos)]
    at: Option<u64>,
    /// The service tier, e.g. batch.
    #[arg(long, value_name = "TIER", default_value = "")]
    tier: String,
    /// Configuration file that says which prices hold; without one the built-in ones.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Arguments {
    fn usage(&self) -> Usage {
        let &Self { input, cache_read, cache_write, cache_write_1h, output, reasoning, .. } = self;
        Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
    }
}

/// Prints how the price was found and the sum. A call without tokens gets its prices only.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let config = arguments.config.as_deref().or(config);
    let prices = Config::load(config, &config::process_environment)?.config.derive.prices.load()?;
    let explanation = prices.explain(&Call {
        provider: &arguments.provider,
        request_model: &arguments.model,
        response_model: arguments.response_model.as_deref().unwrap_or(""),
        time_unix_nanos: arguments.at.unwrap_or_else(unix_nanos),
        usage: arguments.usage(),
        service_tier: &arguments.tier,
    });
    std::io::stdout().write_all(explanation.to_string().as_bytes()).map_err(Failure::io("printing the result"))
}

/// Nanoseconds since the Unix epoch of a day (its begin in UTC) or a time.
fn nanos(text: &str) -> Result<u64, String> {
    let day = || text.parse::<Date>().ok().and_then(|date| Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
    let time = text.parse::<jiff::Timestamp>().ok().or_else(day);
    time.and_then(|time| u64::try_from(time.as_nanosecond()).ok())
        .ok_or_else(|| "expected a date or a time such as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}
