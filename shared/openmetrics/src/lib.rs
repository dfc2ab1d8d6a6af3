//! Counts and measures as OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! The text keeps to what Prometheus's older format has, too, so that node_exporter's textfile collector reads it: counters,
//! gauges and histograms only.
use std::fmt::Write;

/// A text that grows family by family.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// Begin a family of samples. `kind` is `counter`, `gauge` or `histogram`; `help` is a sentence without its full stop.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}.").ok();
    }

    /// One sample. Names of labels are ours; their values may hold anything.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let escape = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")).ok();
    }

    /// The whole text, with the line that ends it.
    #[must_use]
    pub fn end(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_label_stays_inside_its_quotes() {
        let mut text = Text::default();
        text.family("things", "gauge", "Things");
        text.sample("things", &[("name", "a\"b\\c\nd")], "1");
        assert_eq!(
            text.end(),
            "# TYPE things gauge\n# HELP things Things.\nthings{name=\"a\\\"b\\\\c\\nd\"} 1\n# EOF\n"
        );
    }
}
