//! What a kind of backend needs beyond OTLP, as a change of the message. Pure: the same message always becomes the same, so
//! that one sent again is the same bytes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, ResourceMetrics, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::queue::Outgoing;

/// The kind of backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// OTLP as it is specified.
    #[default]
    Default,
    /// SigNoz. It puts a point into the step of its queries that its time lies in, so delta points are told just before their end, which
    /// is the first moment of the next step; and its environment is the older `deployment.environment`, which is told beside
    /// the newer name.
    SigNoz,
    /// Prometheus, which keeps resource attributes apart from series: they are told on every point, so that series have the
    /// labels that they have on `/metrics`.
    Prometheus,
}

/// How long before its end a delta point is told to SigNoz, whose times are in milliseconds.
const WITHIN_THE_WINDOW: u64 = 1_000_000;

/// Two names of one thing, old and new.
const ENVIRONMENT: [&str; 2] = ["deployment.environment", "deployment.environment.name"];

impl Profile {
    /// A request as the backend wants it.
    pub(crate) fn adapt(self, outgoing: Outgoing) -> Outgoing {
        match outgoing {
            Outgoing::Metrics(request) => match self.metrics(&request) {
                Cow::Borrowed(_) => Outgoing::Metrics(request),
                Cow::Owned(adapted) => Outgoing::Metrics(Arc::new(adapted)),
            },
            Outgoing::Logs(request) => match self.logs(&request) {
                Cow::Borrowed(_) => Outgoing::Logs(request),
                Cow::Owned(adapted) => Outgoing::Logs(Arc::new(adapted)),
            },
        }
    }

    /// Metrics as the backend wants them.
    fn metrics(self, request: &ExportMetricsServiceRequest) -> Cow<'_, ExportMetricsServiceRequest> {
        let adapt: fn(&mut ResourceMetrics) = match self {
            Profile::Default => return Cow::Borrowed(request),
            Profile::SigNoz => |metrics| {
                metrics.resource.iter_mut().for_each(tell_environment);
                each_metric(metrics, tell_within_the_window);
            },
            Profile::Prometheus => |metrics| {
                let attributes = metrics.resource.as_ref().map(|resource| resource.attributes.clone());
                let attributes = attributes.unwrap_or_default();
                each_metric(metrics, |metric| {
                    each_point(metric, |point| inherit(point.attributes, &attributes));
                });
            },
        };
        let mut request = request.clone();
        request.resource_metrics.iter_mut().for_each(adapt);
        Cow::Owned(request)
    }

    /// Log records as the backend wants them.
    fn logs(self, request: &ExportLogsServiceRequest) -> Cow<'_, ExportLogsServiceRequest> {
        if self != Profile::SigNoz {
            return Cow::Borrowed(request);
        }
        let mut request = request.clone();
        request.resource_logs.iter_mut().filter_map(|logs| logs.resource.as_mut()).for_each(tell_environment);
        Cow::Owned(request)
    }
}

fn tell_environment(resource: &mut Resource) {
    let told = ENVIRONMENT.map(|name| resource.attributes.iter().find(|attribute| attribute.key == name));
    let missing = match told {
        [Some(old), None] => KeyValue { key: ENVIRONMENT[1].to_owned(), ..old.clone() },
        [None, Some(new)] => KeyValue { key: ENVIRONMENT[0].to_owned(), ..new.clone() },
        [Some(_), Some(_)] | [None, None] => return,
    };
    resource.attributes.push(missing);
}

fn tell_within_the_window(metric: &mut Metric) {
    let temporality = match &metric.data {
        Some(metric::Data::Sum(sum)) => sum.aggregation_temporality,
        Some(metric::Data::Histogram(histogram)) => histogram.aggregation_temporality,
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.aggregation_temporality,
        Some(metric::Data::Gauge(_) | metric::Data::Summary(_)) | None => return,
    };
    if temporality != AggregationTemporality::Delta as i32 {
        return;
    }
    each_point(metric, |point| {
        let within = point.end.saturating_sub(WITHIN_THE_WINDOW).max(point.start);
        *point.end = within;
    });
}

/// The point's own attribute stands where both have one of a name.
fn inherit(attributes: &mut Vec<KeyValue>, resource: &[KeyValue]) {
    let own: HashSet<String> = attributes.iter().map(|attribute| attribute.key.clone()).collect();
    attributes.extend(resource.iter().filter(|attribute| !own.contains(&attribute.key)).cloned());
}

/// What points of every kind have.
struct Point<'a> {
    attributes: &'a mut Vec<KeyValue>,
    start: u64,
    end: &'a mut u64,
}

fn each_metric(metrics: &mut ResourceMetrics, change: impl Fn(&mut Metric)) {
    metrics.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics).for_each(change);
}

fn each_point(metric: &mut Metric, change: impl Fn(Point<'_>)) {
    macro_rules! each {
        ($points:expr) => {
            $points.iter_mut().for_each(|point| {
                let start = point.start_time_unix_nano;
                change(Point { attributes: &mut point.attributes, start, end: &mut point.time_unix_nano });
            })
        };
    }
    match &mut metric.data {
        Some(metric::Data::Gauge(gauge)) => each!(gauge.data_points),
        Some(metric::Data::Sum(sum)) => each!(sum.data_points),
        Some(metric::Data::Histogram(histogram)) => each!(histogram.data_points),
        Some(metric::Data::ExponentialHistogram(histogram)) => each!(histogram.data_points),
        Some(metric::Data::Summary(summary)) => each!(summary.data_points),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, NumberDataPoint, ScopeMetrics, Sum,
    };

    use super::*;
    use crate::openmetrics::{Format, render};

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    const SECOND: u64 = 1_000_000_000;

    /// A sum, a histogram and a gauge from second 30 to 60, of a service in production.
    fn request(temporality: AggregationTemporality) -> ExportMetricsServiceRequest {
        let number = || NumberDataPoint {
            attributes: vec![text("model", "m"), text("service.name", "of the point")],
            start_time_unix_nano: 30 * SECOND,
            time_unix_nano: 60 * SECOND,
            value: Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(7)),
            ..Default::default()
        };
        let sum = Sum { data_points: vec![number()], aggregation_temporality: temporality as i32, is_monotonic: true };
        let histogram = Histogram {
            data_points: vec![HistogramDataPoint {
                start_time_unix_nano: 30 * SECOND,
                time_unix_nano: 60 * SECOND,
                count: 1,
                sum: Some(1.0),
                ..Default::default()
            }],
            aggregation_temporality: temporality as i32,
        };
        let gauge = Gauge { data_points: vec![number()] };
        let metric = |name: &str, data| Metric { name: name.to_owned(), data: Some(data), ..Default::default() };
        let metrics = vec![
            metric("sum", metric::Data::Sum(sum)),
            metric("histogram", metric::Data::Histogram(histogram)),
            metric("gauge", metric::Data::Gauge(gauge)),
        ];
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource()),
                scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
                ..Default::default()
            }],
        }
    }

    fn resource() -> Resource {
        let attributes = vec![text("service.name", "s"), text("deployment.environment.name", "production")];
        Resource { attributes, ..Default::default() }
    }

    fn ends(request: &ExportMetricsServiceRequest) -> Vec<u64> {
        let ends = std::cell::RefCell::new(Vec::new());
        let mut request = request.clone();
        for metrics in &mut request.resource_metrics {
            each_metric(metrics, |metric| each_point(metric, |point| ends.borrow_mut().push(*point.end)));
        }
        ends.into_inner()
    }

    // Without a profile nothing changes, and nothing is copied.
    #[test]
    fn the_default_is_the_message_itself() {
        let metrics = request(AggregationTemporality::Delta);
        assert!(matches!(Profile::Default.metrics(&metrics), Cow::Borrowed(_)));
        assert!(matches!(Profile::Default.logs(&ExportLogsServiceRequest::default()), Cow::Borrowed(_)));
    }

    // For SigNoz delta points lie within the window they tell of, and no others are moved; a window shorter than that keeps
    // its order.
    #[test]
    fn delta_points_lie_within_their_window() {
        let delta = Profile::SigNoz.metrics(&request(AggregationTemporality::Delta)).into_owned();
        assert_eq!(ends(&delta), [60 * SECOND - 1_000_000, 60 * SECOND - 1_000_000, 60 * SECOND]);
        let cumulative = Profile::SigNoz.metrics(&request(AggregationTemporality::Cumulative)).into_owned();
        assert_eq!(ends(&cumulative), [60 * SECOND; 3]);
        let mut short = request(AggregationTemporality::Delta);
        each_metric(&mut short.resource_metrics[0], |metric| each_point(metric, |point| *point.end = point.start + 5));
        assert_eq!(ends(&Profile::SigNoz.metrics(&short))[..2], [30 * SECOND; 2]);
    }

    // SigNoz gets the environment under both of its names, on metrics and on logs, whichever was told; and nothing else.
    #[test]
    fn the_environment_has_both_names() {
        let names = |attributes: Vec<KeyValue>| {
            let resource = Some(Resource { attributes, ..Default::default() });
            let resource_logs = vec![ResourceLogs { resource, ..Default::default() }];
            let request = ExportLogsServiceRequest { resource_logs };
            let logs = Profile::SigNoz.logs(&request).into_owned();
            let resource = logs.resource_logs[0].resource.clone().unwrap();
            resource.attributes.into_iter().map(|attribute| attribute.key).collect::<Vec<_>>()
        };
        let [old, new] = ENVIRONMENT;
        assert_eq!(names(vec![text(new, "p")]), [new, old]);
        assert_eq!(names(vec![text(old, "p")]), [old, new]);
        assert_eq!(names(vec![text(old, "p"), text(new, "q")]), [old, new]);
        assert_eq!(names(vec![text("a", "p")]), ["a"]);
        let metrics = Profile::SigNoz.metrics(&request(AggregationTemporality::Delta)).into_owned();
        let attributes = &metrics.resource_metrics[0].resource.as_ref().unwrap().attributes;
        assert!(attributes.contains(&text(old, "production")));
    }

    // For Prometheus a point alone has the labels that its series has on /metrics.
    #[test]
    fn points_have_the_labels_of_a_scrape() {
        let request = request(AggregationTemporality::Cumulative);
        let mut adapted = Profile::Prometheus.metrics(&request).into_owned();
        assert_eq!(adapted.resource_metrics[0].resource, Some(resource()));
        adapted.resource_metrics[0].resource = None;
        let page = render(&adapted, Format::PrometheusText);
        assert_eq!(page, render(&request, Format::PrometheusText));
        assert!(page.contains(
            r#"sum_total{deployment_environment_name="production",model="m",service_name="of the point"} 7"#
        ));
    }
}
