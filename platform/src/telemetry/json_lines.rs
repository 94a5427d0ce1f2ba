//! Log lines as JSON, in the form of tracing-subscriber's own, but with the whole chain of an
//! error's causes. The library's form has the first error only, which often says no more than that
//! something did not work.

use std::error::Error;
use std::fmt::{self, Debug};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::error_chain;

/// One JSON object a line: time, level, the event's fields, target, and every span from the
/// outermost on.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = line(context, event).map_err(|_unwritable| fmt::Error)?;
        writeln!(writer, "{}", String::from_utf8_lossy(&line))
    }
}

fn line<S, N>(
    context: &FmtContext<'_, S, N>,
    event: &Event<'_>,
) -> Result<Vec<u8>, serde_json::Error>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time)).map_err(serde::ser::Error::custom)?;
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let mut line = serializer.serialize_map(None)?;
    line.serialize_entry("timestamp", &time)?;
    // What a library logs through `log` has its target and level among the fields.
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    line.serialize_entry("level", metadata.level().as_str())?;
    let mut fields = EventFields { line: &mut line, written: Ok(()) };
    event.record(&mut fields);
    fields.written?;
    line.serialize_entry("target", metadata.target())?;
    // The whole list of spans, since an inner span of a handler must not hide the request's id.
    if let Some(scope) = context.event_scope() {
        let spans: Vec<Value> = scope.from_root().map(|span| span_fields::<S, N>(&span)).collect();
        line.serialize_entry("spans", &spans)?;
    }
    line.end()?;
    Ok(bytes)
}

/// Returns a span's name and fields, which the formatter of fields has written as JSON when the
/// span began.
fn span_fields<S, N>(span: &SpanRef<'_, S>) -> Value
where
    S: for<'a> LookupSpan<'a>,
    N: 'static,
{
    let extensions = span.extensions();
    let fields = extensions.get::<FormattedFields<N>>();
    let fields = fields.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let mut fields = fields.unwrap_or_default();
    fields.insert("name".to_owned(), span.name().into());
    fields.into()
}

/// Writes an event's fields into its line.
struct EventFields<'a, M: SerializeMap> {
    line: &'a mut M,
    written: Result<(), M::Error>,
}

impl<M: SerializeMap> EventFields<'_, M> {
    fn write(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = self.line.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for EventFields<'_, M> {
    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.write(field, &error_chain(error));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }
}
