//! The timeline, drawn.
use crate::markup::escaped;
use crate::page::Bar;

const LABELS: f64 = 300.0;
const BARS: f64 = 560.0;
const NUMBERS: f64 = 90.0;
const ROW: f64 = 22.0;
/// The narrowest bar that can be seen.
const LEAST: f64 = 2.0;
/// Characters of a label that fit.
const LETTERS: usize = 44;
const TICKS: u32 = 5;

/// One row for each bar, over one axis in seconds.
pub(crate) fn timeline(bars: &[Bar]) -> String {
    let end = bars.iter().map(|bar| bar.end_s).fold(0.0, f64::max);
    let scale = if end > 0.0 { BARS / end } else { 0.0 };
    let (width, height) = (LABELS + BARS + NUMBERS, ROW * (bars.len() as f64 + 1.0));
    let mut out = format!(
        "<svg role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n<title>Timeline</title>\n"
    );
    for tick in 0..=TICKS {
        let time = end * f64::from(tick) / f64::from(TICKS);
        let x = LABELS + time * scale;
        let bottom = height - ROW;
        out.push_str(&format!(
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom:.1}\"/>\n"
        ));
        let y = height - 6.0;
        out.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{} s</text>\n",
            short(time)
        ));
    }
    for (row, bar) in bars.iter().enumerate() {
        out.push_str(&drawn(bar, row as f64 * ROW, scale));
    }
    out.push_str("</svg>\n");
    out
}

fn drawn(bar: &Bar, top: f64, scale: f64) -> String {
    let (x, width) = (LABELS + bar.start_s * scale, ((bar.end_s - bar.start_s) * scale).max(LEAST));
    let (y, baseline) = (top + 4.0, top + 16.0);
    let class = if bar.failed { "bad" } else { "bar" };
    let label: String = tool::one_line(&bar.label).chars().take(LETTERS).collect();
    let after = x + width + 6.0;
    format!(
        "<text x=\"0\" y=\"{baseline:.1}\">{}</text>\n\
         <rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>\n\
         <text x=\"{after:.1}\" y=\"{baseline:.1}\">{} s</text>\n",
        escaped(&label),
        short(bar.end_s - bar.start_s)
    )
}

/// As many digits as anybody reads.
fn short(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0}"),
        s if s >= 1.0 => format!("{s:.1}"),
        s => format!("{s:.3}"),
    }
}
