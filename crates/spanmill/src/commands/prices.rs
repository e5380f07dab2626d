//! `spanmill prices MODEL`: how a price is found, and what a call comes to.

use std::io::Write;
use std::path::Path;

use clap::Args;
use comfy_table::{Table, presets};
use genai::Usage;
use genai::price::Call;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::admin::UnpricedModel;
use crate::admin_client::{AdminClient, Server};
use crate::clock::unix_nanos;
use crate::config::{self, Config};
use crate::failure::Failure;

/// A call whose cost is asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model as the application reports it, e.g. us.anthropic.claude-sonnet-4-5-20250929-v1:0.
    #[arg(value_name = "MODEL", required_unless_present = "unpriced")]
    model: Option<String>,
    /// List the models that the running server has seen without a price.
    #[arg(long, conflicts_with_all = ["model", "response_model", "provider", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "at", "tier"])]
    unpriced: bool,
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
    #[command(flatten)]
    server: Server,
}

impl Arguments {
    fn usage(&self) -> Usage {
        let &Self { input, cache_read, cache_write, cache_write_1h, output, reasoning, .. } = self;
        Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
    }
}

/// Prints how the price was found and the sum. A call without tokens gets its prices only.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    if arguments.unpriced {
        return print(&unpriced(&arguments.server.client(config)?)?);
    }
    let config = Config::load(config, &config::process_environment)?.config;
    let prices = config.derive.prices.load()?;
    let explanation = prices.explain(&Call {
        provider: &arguments.provider,
        request_model: arguments.model.as_deref().unwrap_or(""),
        response_model: arguments.response_model.as_deref().unwrap_or(""),
        time_unix_nanos: arguments.at.unwrap_or_else(unix_nanos),
        usage: arguments.usage(),
        service_tier: &arguments.tier,
    });
    print(&explanation.to_string())
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("printing the result"))
}

/// Asks the running server, and lists what it says.
fn unpriced(admin: &AdminClient) -> Result<String, Failure> {
    let address = admin.address();
    let models: Vec<UnpricedModel> = admin.get("/api/prices/unpriced")?;
    if models.is_empty() {
        return Ok(format!("every model that the server at {address} has counted has a price\n"));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["provider", "request model", "response model", "calls without a price"]);
    for model in models {
        table.add_row([model.provider, model.request_model, model.response_model, model.calls.to_string()]);
    }
    Ok(format!("{table}\n"))
}

/// Nanoseconds since the Unix epoch of a day (its begin in UTC) or a time.
fn nanos(text: &str) -> Result<u64, String> {
    let day = || text.parse::<Date>().ok().and_then(|date| Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
    let time = text.parse::<jiff::Timestamp>().ok().or_else(day);
    time.and_then(|time| u64::try_from(time.as_nanosecond()).ok())
        .ok_or_else(|| "expected a date or a time such as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}
