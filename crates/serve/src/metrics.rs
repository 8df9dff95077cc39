//! What the server did, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use lm::Usage;

use crate::gate::Gate;

/// Upper bounds of the latency histogram, seconds.
const BOUNDS: [f64; 12] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

/// Counters since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Requests by route and status.
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    latency: Mutex<BTreeMap<String, Histogram>>,
    prefill: AtomicU64,
    cached: AtomicU64,
    decode: AtomicU64,
    /// Requests whose answer has not ended yet.
    pub open: AtomicUsize,
}

#[derive(Default, Clone)]
struct Histogram {
    /// Requests up to each bound, and above all of them; not cumulative.
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Metrics {
    /// Counts a request that has ended.
    pub fn ended(&self, route: &str, status: u16, took: Duration) {
        *lock(&self.requests).entry((route.into(), status)).or_default() += 1;
        let seconds = took.as_secs_f64();
        let mut latency = lock(&self.latency);
        let histogram = latency.entry(route.into()).or_default();
        histogram.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        histogram.sum += seconds;
    }

    /// Counts tokens that were spent.
    pub fn spent(&self, usage: Usage) {
        self.prefill.fetch_add(usage.prefill, Ordering::Relaxed);
        self.cached.fetch_add(usage.cached, Ordering::Relaxed);
        self.decode.fetch_add(usage.decode, Ordering::Relaxed);
    }

    /// The text that Prometheus reads.
    pub fn text(&self, gate: &Gate) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP lyceum_{name} {help}\n# TYPE lyceum_{name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "lyceum_{name}{labels} {value}");
            }
        };
        let requests: Vec<_> = lock(&self.requests)
            .iter()
            .map(|((route, status), count)| (format!("{{route=\"{route}\",status=\"{status}\"}}"), count.to_string()))
            .collect();
        family("requests_total", "counter", "Requests that have ended; 499: the client went away.", &requests);
        let tokens = [("prefill", &self.prefill), ("cached", &self.cached), ("decode", &self.decode)]
            .map(|(kind, count)| (format!("{{kind=\"{kind}\"}}"), count.load(Ordering::Relaxed).to_string()));
        family("tokens_total", "counter", "Tokens of answered requests: computed, found, generated.", &tokens);
        let mut gauge = |name: &str, help: &str, value: usize| {
            family(name, "gauge", help, &[(String::new(), value.to_string())]);
        };
        gauge("requests_open", "Requests whose answer has not ended.", self.open.load(Ordering::Relaxed));
        gauge("requests_running", "Requests that a model works on.", gate.running());
        gauge("requests_waiting", "Requests that wait for a place.", gate.waiting());
        let name = "lyceum_request_seconds";
        let _ = writeln!(text, "# HELP {name} From a request's head to its answer's end.\n# TYPE {name} histogram");
        for (route, histogram) in lock(&self.latency).iter() {
            let mut count = 0;
            for (at, more) in histogram.counts.iter().enumerate() {
                count += more;
                let bound = BOUNDS.get(at).map_or("+Inf".to_string(), ToString::to_string);
                let _ = writeln!(text, "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(text, "{name}_sum{{route=\"{route}\"}} {}", histogram.sum);
            let _ = writeln!(text, "{name}_count{{route=\"{route}\"}} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_bounds_are_inclusive() {
        let metrics = Metrics::default();
        for seconds in [0.001, 0.1, 0.2, 9000.0] {
            metrics.ended("/v1/models", 200, Duration::from_secs_f64(seconds));
        }
        metrics.ended("other", 404, Duration::ZERO);
        metrics.spent(Usage { prefill: 3, cached: 4, decode: 5 });
        let text = metrics.text(&Gate::new(2, 2));
        for line in [
            "lyceum_requests_total{route=\"/v1/models\",status=\"200\"} 4",
            "lyceum_requests_total{route=\"other\",status=\"404\"} 1",
            "lyceum_tokens_total{kind=\"cached\"} 4",
            "lyceum_request_seconds_bucket{route=\"/v1/models\",le=\"0.02\"} 1",
            "lyceum_request_seconds_bucket{route=\"/v1/models\",le=\"0.1\"} 2",
            "lyceum_request_seconds_bucket{route=\"/v1/models\",le=\"600\"} 3",
            "lyceum_request_seconds_bucket{route=\"/v1/models\",le=\"+Inf\"} 4",
            "lyceum_request_seconds_count{route=\"/v1/models\"} 4",
            "lyceum_requests_running 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }
}
