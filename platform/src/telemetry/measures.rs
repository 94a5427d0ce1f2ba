//! The recorder behind the `metrics` macros, rendered by a route of our own: no listener of its
//! own.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::TelemetryError;
use crate::shutdown::Shutdown;

/// Upper bounds of durations, in seconds: from a cache answer to the longest wait of a poll.
const SECONDS_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How often samples are moved into their buckets, so that memory stays bounded when the metrics
/// are not read.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The metrics recorded so far.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of the whole process, which lives until the shutdown.
    pub fn install(shutdown: &Shutdown) -> Result<Self, TelemetryError> {
        let handle = builder()?.install_recorder()?;
        let (keeper, stop) = (handle.clone(), shutdown.token());
        shutdown.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
                keeper.run_upkeep();
            }
        });
        Ok(Self { handle })
    }

    /// Makes a recorder for one test, and its reader; the recorder is used through
    /// `metrics::with_local_recorder`.
    pub fn local() -> Result<(impl metrics::Recorder, Self), TelemetryError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        Ok((recorder, Self { handle }))
    }

    /// Renders everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

fn builder() -> Result<PrometheusBuilder, TelemetryError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?)
}

/// Declares a service's metrics: a constant, a name and one sentence for each, under `counters`,
/// `gauges` or `durations`. Makes the constants, and `describe()`, which gives every sentence to
/// the recorder: what is declared here cannot be left without a description.
#[macro_export]
macro_rules! declare_metrics {
    ($($kind:ident { $($constant:ident = $name:literal: $text:literal,)+ })+) => {
        $($(
            #[doc = $text]
            pub(crate) const $constant: &str = $name;
        )+)+

        /// Describes every metric of this module. Called once, at the service's start.
        pub(crate) fn describe() {
            $($($crate::declare_metrics!(@$kind $constant, $text);)+)+
        }
    };
    (@counters $constant:ident, $text:literal) => {
        ::metrics::describe_counter!($constant, $text);
    };
    (@gauges $constant:ident, $text:literal) => {
        ::metrics::describe_gauge!($constant, $text);
    };
    (@durations $constant:ident, $text:literal) => {
        // The buckets of a duration go by its suffix.
        debug_assert!($constant.ends_with("_seconds"), "a duration is named in seconds");
        ::metrics::describe_histogram!($constant, ::metrics::Unit::Seconds, $text);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    mod declared {
        crate::declare_metrics! {
            counters { RUNS = "ledger_runs_total": "Submissions judged.", }
            gauges { WAITING = "ledger_waiting": "Submissions that wait.", }
            durations { RUN_SECONDS = "ledger_run_seconds": "Time of a run.", }
        }
    }

    #[test]
    fn what_is_declared_is_described_and_durations_have_buckets() {
        let (recorder, metrics) = Metrics::local().unwrap();
        metrics::with_local_recorder(&recorder, || {
            declared::describe();
            metrics::counter!(declared::RUNS).increment(2);
            metrics::gauge!(declared::WAITING).set(3.0);
            metrics::histogram!(declared::RUN_SECONDS).record(0.004);
        });
        let text = metrics.render();
        for line in [
            "# HELP ledger_runs_total Submissions judged.",
            "ledger_runs_total 2",
            "# HELP ledger_waiting Submissions that wait.",
            "ledger_waiting 3",
            "# HELP ledger_run_seconds Time of a run.",
            "ledger_run_seconds_bucket{le=\"0.0025\"} 0",
            "ledger_run_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
