//! Names of OpenTelemetry as names of Prometheus: the strategy `UnderscoreEscapingWithSuffixes`, by which Prometheus itself
//! translates what it receives over OTLP (github.com/prometheus/otlptranslator), so both ways in give the same names.

/// UCUM units and the words Prometheus uses for them.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// The same for what stands behind a slash, in the singular.
const UNITS_BEHIND_SLASH: &[(&str, &str)] =
    &[("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The kinds of metric family that Spanmill exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The name of a metric family, without `_total`, and its unit where the name ends in it (OpenMetrics allows no other).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FamilyName {
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
}

/// Translates name and unit of a metric. `None` if nothing of the name is left.
pub(crate) fn family(metric: &str, unit: &str, kind: Kind) -> Option<FamilyName> {
    let mut tokens: Vec<String> = tokens(metric).map(str::to_owned).collect();
    let (main_unit, per_unit) = unit_words(unit);
    let known_words = [&main_unit, &per_unit].map(|word| tokens.contains(word));
    for (word, known) in [&main_unit, &per_unit].into_iter().zip(known_words) {
        if !word.is_empty() && !known {
            tokens.push(word.clone());
        }
    }
    match kind {
        Kind::Counter => tokens.retain(|token| token != "total"),
        Kind::Gauge if unit == "1" => {
            tokens.retain(|token| token != "ratio");
            tokens.push("ratio".to_owned());
        }
        Kind::Gauge | Kind::Histogram => {}
    }
    let joined = tokens.join("_");
    let name = match joined.chars().next()? {
        '0'..='9' => format!("_{joined}"),
        _ => joined,
    };
    let unit = [main_unit, per_unit].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let ends_in_unit = name.strip_suffix(&unit).is_some_and(|rest| !unit.is_empty() && rest.ends_with('_'));
    Some(FamilyName { name, unit: ends_in_unit.then_some(unit) })
}

/// Translates the name of an attribute. A name that starts with `_` gets a `key` in front, as Prometheus reserves `__`;
/// so does `le`, which a histogram needs for itself.
pub(crate) fn label(attribute: &str) -> String {
    let escaped: String =
        attribute.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    match escaped.chars().next() {
        Some('0'..='9') => format!("key_{escaped}"),
        Some('_') => format!("key{escaped}"),
        None => "key".to_owned(),
        Some(_) if escaped == "le" => "key_le".to_owned(),
        Some(_) => escaped,
    }
}

/// The parts of a metric name: every run of other characters, underscores included, separates two of them.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|token| !token.is_empty())
}

/// `By/s` is `("bytes", "per_second")`. An `{annotation}` is no unit.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main_word = unit_word(main, UNITS);
    match unit_word(per, UNITS_BEHIND_SLASH) {
        per_word if per_word.is_empty() => (main_word, per_word),
        per_word => (main_word, format!("per_{per_word}")),
    }
}

fn unit_word(unit: &str, known: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    let word = known.iter().find(|(ucum, _)| *ucum == unit).map_or(unit, |(_, word)| word);
    tokens(word).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of reference/backends.md section 4, which VictoriaMetrics and Prometheus were seen to produce, and the
    // corner cases of otlptranslator's own tests.
    #[test]
    fn families_are_named_as_prometheus_names_them() {
        let cases: &[(&str, &str, Kind, &str, Option<&str>)] = &[
            ("gen_ai.client.token.usage", "{token}", Kind::Histogram, "gen_ai_client_token_usage", None),
            (
                "gen_ai.client.operation.duration",
                "s",
                Kind::Histogram,
                "gen_ai_client_operation_duration_seconds",
                Some("seconds"),
            ),
            ("x.cost", "USD", Kind::Counter, "x_cost_USD", Some("USD")),
            ("spanmill.cost", "{USD}", Kind::Counter, "spanmill_cost", None),
            ("spanmill.requests.total", "{request}", Kind::Counter, "spanmill_requests", None),
            ("queue.fill", "1", Kind::Gauge, "queue_fill_ratio", None),
            ("queue.ratio", "1", Kind::Gauge, "queue_ratio", None),
            ("requests", "1", Kind::Counter, "requests", None),
            ("disk.use", "%", Kind::Gauge, "disk_use_percent", Some("percent")),
            ("disk.speed", "By/s", Kind::Gauge, "disk_speed_bytes_per_second", Some("bytes_per_second")),
            ("speed", "{request}/s", Kind::Gauge, "speed_per_second", Some("per_second")),
            ("wait.seconds", "s", Kind::Gauge, "wait_seconds", Some("seconds")),
            ("seconds.of.wait", "s", Kind::Gauge, "seconds_of_wait", None),
            ("seconds", "s", Kind::Gauge, "seconds", None),
            ("1st..a--b", "", Kind::Gauge, "_1st_a_b", None),
            ("speed", "km/h", Kind::Gauge, "speed_km_per_hour", Some("km_per_hour")),
        ];
        for (metric, unit, kind, name, unit_line) in cases {
            let expected = FamilyName { name: (*name).to_owned(), unit: unit_line.map(str::to_owned) };
            assert_eq!(family(metric, unit, *kind), Some(expected), "{metric} {unit}");
        }
        assert_eq!(family("...", "", Kind::Gauge), None);
    }

    // A label name is always valid, and never one that Prometheus or a histogram reserves.
    #[test]
    fn labels_are_escaped() {
        let cases = [
            ("service.name", "service_name"),
            ("collector.instance.id", "collector_instance_id"),
            ("a_b", "a_b"),
            ("0.x", "key_0_x"),
            ("_private", "key_private"),
            ("__name__", "key__name__"),
            ("le", "key_le"),
            ("größe", "gr__e"),
            ("", "key"),
        ];
        for (attribute, expected) in cases {
            assert_eq!(label(attribute), expected);
        }
    }
}
