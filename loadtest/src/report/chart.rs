//! Charts as SVG, drawn here so that a page needs neither script nor network. Colours are classes,
//! which the page defines for light and dark.

use std::fmt::Write;

/// The size of a chart, CSS pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
/// The margins around what is drawn: left, right, top, bottom.
const MARGIN: [f64; 4] = [64.0, 12.0, 12.0, 30.0];
/// The largest number of points of a line; more are thinned out.
const MOST_POINTS: usize = 600;

/// A line of a chart.
pub(super) struct Line {
    /// Its name.
    pub(super) name: String,
    /// Its points, by ascending x.
    pub(super) points: Vec<(f64, f64)>,
}

/// How an axis counts.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly from zero.
    Even,
    /// By factors.
    Factors,
}

/// A chart of lines with its legend; `None` if there is nothing to draw.
pub(super) fn lines(
    title: &str,
    unit: &str,
    x_label: &str,
    y: Scale,
    lines: &[Line],
) -> Option<String> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let x_most = all().map(|point| point.0).reduce(f64::max)?;
    let y_most = all().map(|point| point.1).reduce(f64::max)?.max(1e-9);
    let axis = Axis::of(y, all().map(|point| point.1), y_most);
    let [left, right, top, bottom] = MARGIN;
    let place_x = |x: f64| left + x / x_most.max(1e-9) * (WIDTH - left - right);
    let place_y = |y: f64| HEIGHT - bottom - axis.share(y) * (HEIGHT - top - bottom);
    let mut svg = open(title);
    for tick in &axis.ticks {
        let at = place_y(*tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            left - 6.0,
            at + 4.0,
            short(*tick)
        );
    }
    for (place, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            place_x(x_most * place),
            HEIGHT - 10.0,
            short(x_most * place)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let every = line.points.len().div_ceil(MOST_POINTS).max(1);
        let mut path = String::new();
        for (x, y) in line.points.iter().step_by(every) {
            let begin = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{begin}{:.1} {:.1}", place_x(*x), place_y(*y));
        }
        let _ = write!(
            svg,
            "<path class=\"line s{number}\" d=\"{path}\"><title>{}</title></path>",
            escape(&line.name)
        );
    }
    svg.push_str("</svg>");
    let mut legend = String::new();
    // What was not measured has no line to find.
    let all = lines.iter().enumerate();
    for (number, line) in all.filter(|(_, line)| !line.points.is_empty()) {
        let _ = write!(
            legend,
            "<span class=\"key s{number}\">{}</span>",
            escape(&line.name)
        );
    }
    Some(figure(
        title,
        &format!("{unit}, by {x_label}"),
        &svg,
        &legend,
    ))
}

/// A heat map: how many times lay in which band, by interval. `cells` are the position of the interval,
/// the lower bound of the bucket, ms, and the count.
pub(super) fn heat(
    title: &str,
    x_label: &str,
    width: f64,
    cells: &[(f64, f64, u64)],
) -> Option<String> {
    const BANDS: usize = 24;
    const COLUMNS: usize = 120;
    let x_most = cells.iter().map(|cell| cell.0).reduce(f64::max)? + width;
    let low = cells
        .iter()
        .map(|cell| cell.1)
        .filter(|ms| *ms > 0.0)
        .reduce(f64::min)?
        .max(0.01);
    let high = cells
        .iter()
        .map(|cell| cell.1)
        .reduce(f64::max)?
        .max(low * 2.0);
    let band = |ms: f64| {
        let share = (ms.max(low) / low).ln() / (high / low).ln();
        ((share * BANDS as f64) as usize).min(BANDS - 1)
    };
    let mut counts = vec![[0_u64; BANDS]; COLUMNS];
    for (x, ms, count) in cells {
        let column = ((x / x_most * COLUMNS as f64) as usize).min(COLUMNS - 1);
        if let Some(slot) = counts
            .get_mut(column)
            .and_then(|column| column.get_mut(band(*ms)))
        {
            *slot += count;
        }
    }
    let [left, right, top, bottom] = MARGIN;
    let (across, up) = (
        (WIDTH - left - right) / COLUMNS as f64,
        (HEIGHT - top - bottom) / BANDS as f64,
    );
    let mut svg = open(title);
    for (column, bands) in counts.iter().enumerate() {
        let all: u64 = bands.iter().sum();
        for (band, count) in bands.iter().enumerate().filter(|(_, count)| **count > 0) {
            // The square root, so that what is rare can be seen beside what is not.
            let opacity = (*count as f64 / all as f64).sqrt().max(0.08);
            let bound = low * (high / low).powf(band as f64 / BANDS as f64);
            let _ = write!(
                svg,
                "<rect class=\"heat\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" opacity=\"{opacity:.2}\">\
                 <title>{:.0} s, from {} ms: {count}</title></rect>",
                left + column as f64 * across,
                HEIGHT - bottom - (band + 1) as f64 * up,
                across + 0.3,
                up + 0.3,
                column as f64 * x_most / COLUMNS as f64,
                short(bound),
            );
        }
    }
    for share in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            HEIGHT - bottom - share * (HEIGHT - top - bottom) + 4.0,
            short(low * (high / low).powf(share))
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{left}\" y=\"{y}\">0</text>\
         <text class=\"tick\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text></svg>",
        WIDTH - right,
        short(x_most),
        y = HEIGHT - 10.0
    );
    Some(figure(
        title,
        &format!("milliseconds, by {x_label}; the darker, the more"),
        &svg,
        "",
    ))
}

/// The labels of an axis of values.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis for values up to `most`.
    fn of(scale: Scale, values: impl Iterator<Item = f64>, most: f64) -> Axis {
        match scale {
            Scale::Even => {
                let step = 10_f64.powf((most / 4.0).log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * step);
                let step = step
                    .into_iter()
                    .find(|step| most / step <= 5.0)
                    .unwrap_or(most);
                let count = (most / step).ceil();
                let ticks = (0..=count as u32)
                    .map(|tick| f64::from(tick) * step)
                    .collect();
                Axis {
                    scale,
                    low: 0.0,
                    high: count * step,
                    ticks,
                }
            }
            Scale::Factors => {
                let least = values
                    .filter(|value| *value > 0.0)
                    .reduce(f64::min)
                    .unwrap_or(most);
                let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
                let to = to.max(from + 1);
                let ticks: Vec<f64> = (from..=to).map(|power| 10_f64.powi(power)).collect();
                Axis {
                    scale,
                    low: 10_f64.powi(from),
                    high: 10_f64.powi(to),
                    ticks,
                }
            }
        }
    }

    /// The place of a value, from 0 at the bottom to 1 at the top.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Even => value / self.high,
            Scale::Factors => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

/// The beginning of a chart.
fn open(title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    )
}

/// A chart with its title, what its axes mean, and its legend.
fn figure(title: &str, axes: &str, svg: &str, legend: &str) -> String {
    format!(
        "<figure><figcaption><h2>{}</h2><p>{} {legend}</p></figcaption>{svg}</figure>",
        escape(title),
        escape(axes)
    )
}

/// A number in few characters.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{:.1}G", value / 1e9),
        v if v >= 1e6 => format!("{:.1}M", value / 1e6),
        v if v >= 1e4 => format!("{:.0}k", value / 1e3),
        v if v >= 100.0 || v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Text within HTML, attributes included.
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks_that_cover_all_values() {
        for most in [0.003, 1.0, 7.0, 49.0, 1_234.0, 98_765.0] {
            let axis = Axis::of(Scale::Even, [most].into_iter(), most);
            assert!(
                axis.high >= most && axis.ticks.len() <= 7,
                "{most}: {:?}",
                axis.ticks
            );
        }
        let axis = Axis::of(Scale::Factors, [0.5, 300.0].into_iter(), 300.0);
        assert_eq!(axis.ticks, [0.1, 1.0, 10.0, 100.0, 1_000.0]);
        assert_eq!((axis.share(0.1), axis.share(1_000.0)), (0.0, 1.0));
    }

    #[test]
    fn the_legend_names_what_is_drawn() {
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        let of = [
            line("worker", &[]),
            line("broker", &[(0.0, 1.0), (1.0, 2.0)]),
        ];
        let chart = lines("Memory", "MB", "seconds", Scale::Even, &of).unwrap();
        assert!(chart.contains("class=\"key s1\">broker"), "{chart}");
        assert!(!chart.contains(">worker</span>"), "{chart}");
    }

    #[test]
    fn texts_from_outside_are_escaped() {
        let line = Line {
            name: "<script>\"".to_owned(),
            points: vec![(0.0, 1.0), (1.0, 2.0)],
        };
        let chart = lines("a & b", "ms", "seconds", Scale::Even, &[line]).unwrap();
        assert!(
            !chart.contains("<script>") && chart.contains("a &amp; b"),
            "{chart}"
        );
        assert_eq!(lines("a", "ms", "seconds", Scale::Even, &[]), None);
    }
}
