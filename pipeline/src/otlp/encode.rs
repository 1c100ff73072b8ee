//! Spans and log lines as messages of OTLP 1.x, in Protobuf.
//!
//! Each batch is one request with one resource, which names the service and the
//! process. Lines are grouped by the module that has logged them, which is their
//! instrumentation scope.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as ProtoSpan, Status};
use prost::Message;
use tracing::Level;
use tributary_config::model::Config;

use super::record::{Line, Span, Value};
use crate::version::VERSION;

/// Name of the scope of spans.
const SCOPE: &str = "tributary";

/// What all exports of this process have in common.
#[derive(Clone)]
pub(super) struct Resource(ProtoResource);

impl Resource {
    /// That of a process.
    pub(super) fn new(config: &Config) -> Resource {
        let attributes = [
            ("service.name", config.telemetry.service_name.clone()),
            ("service.instance.id", config.workers.name()),
            ("service.version", VERSION.to_owned()),
        ];
        Resource(ProtoResource {
            attributes: attributes
                .map(|(key, value)| attribute(key, Any::StringValue(value)))
                .to_vec(),
            ..ProtoResource::default()
        })
    }

    /// The request that exports spans.
    pub(super) fn spans(&self, spans: &[Span]) -> Bytes {
        let scope_spans = vec![ScopeSpans {
            scope: Some(scope(SCOPE)),
            spans: spans.iter().map(span).collect(),
            ..ScopeSpans::default()
        }];
        let resource_spans = vec![ResourceSpans {
            resource: Some(self.0.clone()),
            scope_spans,
            ..ResourceSpans::default()
        }];
        ExportTraceServiceRequest { resource_spans }
            .encode_to_vec()
            .into()
    }

    /// The request that exports lines.
    pub(super) fn lines(&self, lines: &[Line]) -> Bytes {
        let mut by_target: BTreeMap<&str, Vec<LogRecord>> = BTreeMap::new();
        for line in lines {
            by_target.entry(line.target).or_default().push(record(line));
        }
        let scope_logs = by_target
            .into_iter()
            .map(|(target, log_records)| ScopeLogs {
                scope: Some(scope(target)),
                log_records,
                ..ScopeLogs::default()
            });
        let resource_logs = vec![ResourceLogs {
            resource: Some(self.0.clone()),
            scope_logs: scope_logs.collect(),
            ..ResourceLogs::default()
        }];
        ExportLogsServiceRequest { resource_logs }
            .encode_to_vec()
            .into()
    }
}

/// How many spans a collector has rejected, by its response to a request that it
/// has accepted. A response that cannot be read rejects none.
pub(super) fn rejected_spans(response: &[u8]) -> u64 {
    let response = ExportTraceServiceResponse::decode(response).unwrap_or_default();
    let rejected = response
        .partial_success
        .map(|partial| partial.rejected_spans);
    u64::try_from(rejected.unwrap_or_default()).unwrap_or_default()
}

/// The same of lines.
pub(super) fn rejected_lines(response: &[u8]) -> u64 {
    let response = ExportLogsServiceResponse::decode(response).unwrap_or_default();
    let partial = response.partial_success;
    let rejected = partial.map(|partial| partial.rejected_log_records);
    u64::try_from(rejected.unwrap_or_default()).unwrap_or_default()
}

/// A span as a message.
fn span(span: &Span) -> ProtoSpan {
    let counts = span.counts.iter();
    ProtoSpan {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanoseconds(span.begun),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes: counts
            .map(|(key, count)| {
                attribute(key, Any::IntValue((*count).try_into().unwrap_or(i64::MAX)))
            })
            .collect(),
        status: span.has_failed.then(|| Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }),
        ..ProtoSpan::default()
    }
}

/// A line as a message.
fn record(line: &Line) -> LogRecord {
    let at = nanoseconds(line.at);
    let (severity, text) = match line.level {
        Level::ERROR => (SeverityNumber::Error, "ERROR"),
        Level::WARN => (SeverityNumber::Warn, "WARN"),
        Level::INFO => (SeverityNumber::Info, "INFO"),
        Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    };
    let fields = line.fields.iter();
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at,
        severity_number: severity.into(),
        severity_text: text.to_owned(),
        body: Some(any(Any::StringValue(line.message.clone()))),
        attributes: fields
            .map(|(key, value)| {
                let value = match value {
                    Value::Bool(value) => Any::BoolValue(*value),
                    Value::Int(value) => Any::IntValue(*value),
                    Value::Double(value) => Any::DoubleValue(*value),
                    Value::Text(value) => Any::StringValue(value.clone()),
                };
                attribute(key, value)
            })
            .collect(),
        ..LogRecord::default()
    }
}

/// An instrumentation scope.
fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute.
fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

/// A value of any type.
fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// Nanoseconds since 1970; 0 before.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().try_into().unwrap_or(u64::MAX)
}
