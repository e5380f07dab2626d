//! The user's own prices: what goes before the catalogue.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::catalogue::fingerprint;
use super::constraint::Day;
use super::decimal::Price;
use super::model_id::Name;
use super::rates::{Rates, Tariff, Tariffs, Tier, Unit};

/// Overrides of all files, in the order in which they are tried: the first that matches and holds is taken.
#[derive(Debug, Default)]
pub struct Overrides {
    pub(super) entries: Vec<Entry>,
}

/// An override and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    /// File and number, for people.
    pub place: String,
    pub rule: Override,
}

/// A file of overrides: `prices: [...]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverrideFile {
    /// The overrides, in order of precedence.
    pub prices: Vec<Override>,
}

/// One override, checked: which calls it is for, and what they cost.
#[derive(Debug)]
pub struct Override {
    models: Vec<Pattern>,
    provider: Option<Pattern>,
    from: Option<Day>,
    until: Option<Day>,
    rates: Rates,
    batch: Option<Rates>,
}

impl Overrides {
    /// Adds the overrides of a file behind those that are there already.
    pub fn push(&mut self, name: &str, file: OverrideFile) {
        let place = |number: usize| format!("override {} of {name}", number + 1);
        let entries = file.prices.into_iter().enumerate();
        self.entries.extend(entries.map(|(number, rule)| Entry { place: place(number), rule }));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A fingerprint of what they say.
    pub(super) fn version(&self) -> String {
        let text: String = self.entries.iter().map(|entry| format!("{}\n", entry.rule)).collect();
        fingerprint(text.as_bytes())
    }
}

impl Override {
    /// Whether it is for a provider, by any of its names, and a model, by any of its names: `models` are the names of the response
    /// model and of the request model.
    pub(super) fn matches(&self, providers: &[&str], models: &[Name]) -> bool {
        self.provider.as_ref().is_none_or(|pattern| providers.iter().any(|name| pattern.matches(name)))
            && self.matching(models).is_some()
    }

    /// The pattern and the name that it matches.
    pub(super) fn matching<'a>(&'a self, models: &'a [Name]) -> Option<(&'a str, &'a Name)> {
        let mut names = models.iter();
        names.find_map(|name| {
            let pattern = self.models.iter().find(|pattern| pattern.matches(&name.id))?;
            Some((pattern.0.as_str(), name))
        })
    }

    /// Whether it holds at a time, nanoseconds since the Unix epoch.
    pub(super) fn holds(&self, time: u64) -> bool {
        self.from.is_none_or(|day| day.has_begun(time)) && self.until.is_none_or(|day| !day.has_begun(time))
    }

    /// Whether it holds at any time.
    pub(super) fn holds_always(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// The prices of a call.
    pub(super) fn tariffs(&self, service_tier: &str) -> Tariffs<'_> {
        match &self.batch {
            Some(batch) if super::is_batch(service_tier) => batch.tariffs(),
            _ => self.rates.tariffs(),
        }
    }

    /// When it holds, for people.
    pub(super) fn period(&self) -> String {
        match (self.from, self.until) {
            (None, None) => "always".to_owned(),
            (Some(from), None) => format!("from {from} on"),
            (None, Some(until)) => format!("before {until}"),
            (Some(from), Some(until)) => format!("from {from} to before {until}"),
        }
    }
}

/// All that it says, the same for the same meaning.
impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<&str> = self.models.iter().map(|pattern| pattern.0.as_str()).collect();
        write!(f, "match {models:?}")?;
        if let Some(provider) = &self.provider {
            write!(f, " provider {:?}", provider.0)?;
        }
        write!(f, " {}", self.period())?;
        for (word, rates) in [("", Some(&self.rates)), (" batch", self.batch.as_ref())] {
            let Some(rates) = rates else { continue };
            for (row, tariff) in super::rates::UNITS.iter().zip(&rates.units) {
                let Some(tariff) = tariff else { continue };
                write!(f, "{word} {} {}", row.key, tariff.base)?;
                for tier in &tariff.tiers {
                    write!(f, " above {} {}", tier.above, tier.price)?;
                }
            }
        }
        Ok(())
    }
}

/// A text with `*` for any characters, `/` among them; without regard to case.
#[derive(Debug)]
struct Pattern(String);

impl Pattern {
    /// Whether a text in lower case matches as a whole.
    fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == text;
        };
        let Some(mut text) = text.strip_prefix(head) else {
            return false;
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            // Taking each part where it first occurs leaves the most for the others.
            let Some(at) = text.find(part) else { return false };
            text = text.get(at + part.len()..).unwrap_or("");
        }
        text.ends_with(tail)
    }
}

/// An override as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    #[serde(rename = "match")]
    models: OneOrMore,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    input: Option<Price>,
    #[serde(default)]
    cache_read: Option<Price>,
    #[serde(default)]
    cache_write: Option<Price>,
    #[serde(default)]
    cache_write_1h: Option<Price>,
    #[serde(default)]
    output: Option<Price>,
    #[serde(default)]
    reasoning: Option<Price>,
    #[serde(default)]
    tiers: Vec<RawTier>,
    #[serde(default)]
    batch_factor: Option<Price>,
    #[serde(default)]
    batch: Option<RawPrices>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    above: u64,
    #[serde(default)]
    input: Option<Price>,
    #[serde(default)]
    cache_read: Option<Price>,
    #[serde(default)]
    cache_write: Option<Price>,
    #[serde(default)]
    cache_write_1h: Option<Price>,
    #[serde(default)]
    output: Option<Price>,
    #[serde(default)]
    reasoning: Option<Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrices {
    #[serde(default)]
    input: Option<Price>,
    #[serde(default)]
    cache_read: Option<Price>,
    #[serde(default)]
    cache_write: Option<Price>,
    #[serde(default)]
    cache_write_1h: Option<Price>,
    #[serde(default)]
    output: Option<Price>,
    #[serde(default)]
    reasoning: Option<Price>,
    #[serde(default)]
    tiers: Vec<RawTier>,
}

/// A text, or a list of them.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> serde::de::Visitor<'de> for Texts {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model pattern or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMore(texts))
            }
        }

        deserializer.deserialize_any(Texts)
    }
}

/// Prices by unit, in the order of [`super::rates::UNITS`]; requests have none of the user's own.
type ByUnit = [Option<Price>; super::rates::COUNT];

macro_rules! by_unit {
    ($raw:expr) => {
        [$raw.input, $raw.cache_read, $raw.cache_write, $raw.cache_write_1h, $raw.output, $raw.reasoning, None]
    };
}

impl<'de> Deserialize<'de> for Override {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawOverride::deserialize(deserializer)?.check().map_err(serde::de::Error::custom)
    }
}

impl RawOverride {
    fn check(self) -> Result<Override, String> {
        let base = by_unit!(self);
        let pattern = |text: String| match text.trim().to_lowercase() {
            text if text.is_empty() => Err("expected a pattern that is not empty".to_owned()),
            text => Ok(Pattern(text)),
        };
        let models = self.models.0.into_iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        if models.is_empty() {
            return Err("expected at least one pattern under match".to_owned());
        }
        let day = |text: Option<String>, key: &str| match text {
            None => Ok(None),
            Some(text) => match Day::parse(&text) {
                None => Err(format!("expected a date such as 2026-01-31 for {key}, found {text:?}")),
                day => Ok(day),
            },
        };
        let (from, until) = (day(self.from, "from")?, day(self.until, "until")?);
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err("expected until to be after from".to_owned());
        }
        let rates = rates(base, &self.tiers)?;
        let batch = match (self.batch, self.batch_factor) {
            (Some(_), Some(_)) => return Err("expected batch or batch_factor, not both".to_owned()),
            (Some(raw), None) => Some(self::rates(by_unit!(raw), &raw.tiers)?),
            (None, Some(factor)) => Some(multiplied(&rates, factor)?),
            (None, None) => None,
        };
        let provider = self.provider.map(pattern).transpose()?;
        Ok(Override { models, provider, from, until, rates, batch })
    }
}

/// Prices with their tiers. A price that a tier does not name stays what it is below.
fn rates(base: ByUnit, raw_tiers: &[RawTier]) -> Result<Rates, String> {
    if raw_tiers.windows(2).any(|pair| pair[0].above >= pair[1].above) {
        return Err("expected tiers with ascending above".to_owned());
    }
    for row in &super::rates::UNITS {
        let has_price = |unit: Unit| base[unit as usize].is_some();
        if let Some(whole) = row.whole
            && has_price(row.unit)
            && !has_price(whole)
        {
            return Err(format!("expected a price of {} beside that of {}", whole.row().name, row.name));
        }
    }
    let mut rates = Rates::default();
    for (unit, price) in base.into_iter().enumerate() {
        let Some(price) = price else { continue };
        rates.units[unit] = Some(Tariff::flat(price));
    }
    if rates.units.iter().all(Option::is_none) {
        return Err("expected a price of input, of output, or of both".to_owned());
    }
    for raw in raw_tiers {
        for (unit, price) in by_unit!(raw).into_iter().enumerate() {
            let Some(price) = price else { continue };
            match &mut rates.units[unit] {
                Some(tariff) => tariff.tiers.push(Tier::new(raw.above, price)),
                None => {
                    let name = super::rates::UNITS[unit].name;
                    return Err(format!("the tier above {} has a price of {name}, which has none below", raw.above));
                }
            }
        }
    }
    Ok(rates)
}

/// All prices times a factor.
fn multiplied(rates: &Rates, factor: Price) -> Result<Rates, String> {
    let times = |price: Price| {
        price.times(factor).ok_or_else(|| format!("{price} times batch_factor {factor} has more than 21 decimals"))
    };
    let mut batch = rates.clone();
    for tariff in batch.units.iter_mut().flatten() {
        let tiers = tariff.tiers.iter().map(|tier| Ok(Tier::new(tier.above, times(tier.price)?)));
        *tariff = Tariff::with_tiers(times(tariff.base)?, tiers.collect::<Result<_, String>>()?);
    }
    Ok(batch)
}
