"""An application with the official OpenTelemetry SDK: sends spans, metrics and logs to Spanmill.

usage: sdk.py (grpc|http) ENDPOINT (none|gzip)

Whatever the SDK logs goes to standard error; a test that sees anything there fails.
"""

import logging
import sys

transport, endpoint, compression = sys.argv[1:]
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

if transport == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    options = {"compression": Compression.Gzip if compression == "gzip" else Compression.NoCompression}
    spans = OTLPSpanExporter(endpoint=endpoint, insecure=True, **options)
    metrics = OTLPMetricExporter(endpoint=endpoint, insecure=True, **options)
    logs = OTLPLogExporter(endpoint=endpoint, insecure=True, **options)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    options = {"compression": Compression.Gzip if compression == "gzip" else Compression.NoCompression}
    spans = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", **options)
    metrics = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", **options)
    logs = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", **options)

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

resource = Resource.create({"service.name": f"python-{transport}"})
tracing = TracerProvider(resource=resource)
tracing.add_span_processor(BatchSpanProcessor(spans))
metering = MeterProvider([PeriodicExportingMetricReader(metrics)], resource=resource)
logging_ = LoggerProvider(resource=resource)
logging_.add_log_record_processor(BatchLogRecordProcessor(logs))

tracer = tracing.get_tracer("app")
with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
    for number in range(10):
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
        }
        with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT, attributes=attributes) as span:
            if number == 9:
                span.set_attribute("error.type", "rate_limit_exceeded")
                span.set_status(Status(StatusCode.ERROR, "too many requests"))
                continue
            span.set_attribute("gen_ai.response.model", "gpt-4o-mini-2024-07-18")
            span.set_attribute("gen_ai.usage.input_tokens", 100 + number)
            span.set_attribute("gen_ai.usage.output_tokens", 10)
metering.get_meter("app").create_counter("app.requests").add(1)
logger = logging.Logger("app")
logger.addHandler(LoggingHandler(logger_provider=logging_))
logger.info("done")

assert tracing.force_flush() and metering.force_flush() and logging_.force_flush(), "not everything was sent"
tracing.shutdown()
metering.shutdown()
logging_.shutdown()
