//! Pictures: for each figure a pair of bars with the range of the samples and the machine's limit. The axis has zero and all
//! of these on it.

use std::fmt::Write;

use super::{Better, Line, Report, table::number};
use crate::{stats::Samples, system::System};

const WIDTH: f64 = 920.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 13.0;
const GROUP: f64 = 46.0;
const TOP: f64 = 64.0;

impl Report {
    /// One picture of every line with this figure and unit; none if there is no such line.
    pub fn picture(&self, figure: &str, unit: &str) -> Option<String> {
        let lines: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| line.figure.name == figure && line.figure.unit == unit)
            .filter(|line| !line.samples.is_empty())
            .collect();
        let scale = Scale::new(&lines)?;
        let height = TOP + GROUP * lines.len() as f64 + 40.0;
        let better = match lines[0].figure.better {
            Better::Higher => " (more is better)",
            Better::Lower => " (less is better)",
            Better::Neither => "",
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"16\" y=\"24\" font-size=\"16\" font-weight=\"600\">{}, {}{better}</text>\n\
             <text x=\"16\" y=\"42\" fill=\"#666\" font-size=\"10\">{}</text>\n",
            escape(figure),
            escape(unit),
            escape(&self.machine.caption()),
        );
        for (index, line) in lines.iter().enumerate() {
            group(&mut svg, line, TOP + GROUP * index as f64, &scale);
        }
        let foot = height - 14.0;
        let _ = write!(
            svg,
            "<rect x=\"16\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"#0b7285\"/>\
             <text x=\"30\" y=\"{foot}\">Thalweg</text>\n\
             <rect x=\"100\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"#adb5bd\"/>\
             <text x=\"114\" y=\"{foot}\">Apache Kafka</text>\n\
             <text x=\"220\" y=\"{foot}\" fill=\"#c92a2a\">| the machine's own limit</text>\n</svg>\n",
            foot - 9.0,
            foot - 9.0,
        );
        Some(svg)
    }

    /// The figures that have a picture, each once.
    pub fn pictures(&self) -> Vec<(&'static str, &'static str)> {
        let mut figures: Vec<_> =
            self.lines.iter().map(|line| (line.figure.name, line.figure.unit)).collect();
        figures.sort_unstable();
        figures.dedup();
        figures
    }
}

struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// None if there is nothing but zero.
    fn new(lines: &[&Line]) -> Option<Self> {
        let samples = lines.iter().flat_map(|line| line.samples.values());
        let ends = samples.filter_map(Samples::range).flat_map(|(least, most)| [least, most]);
        let limits = lines.iter().flat_map(|line| {
            let of_each = line.limits.keys().filter_map(move |system| line.limit(*system));
            of_each.map(|(limit, _)| limit)
        });
        let (least, most) = ends
            .chain(limits)
            .fold((0.0f64, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
        (most > least).then_some(Self { least, most })
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (value - self.least) / (self.most - self.least)
    }
}

fn group(svg: &mut String, line: &Line, y: f64, scale: &Scale) {
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 8.0,
        y + BAR + 4.0,
        escape(&line.row)
    );
    for (index, (system, colour)) in
        [(System::Thalweg, "#0b7285"), (System::Kafka, "#adb5bd")].iter().enumerate()
    {
        let Some(samples) = line.samples.get(system) else { continue };
        let (Some(median), Some((least, most))) = (samples.median(), samples.range()) else {
            continue;
        };
        let top = y + index as f64 * (BAR + 2.0);
        let middle = top + BAR / 2.0;
        let (zero, end) = (scale.x(0.0), scale.x(median));
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#212529\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            zero.min(end),
            (end - zero).abs(),
            scale.x(least),
            scale.x(most),
            scale.x(most.max(0.0)) + 6.0,
            top + BAR - 2.0,
            number(median, line.figure.digits),
        );
        if let Some((limit, _)) = line.limit(*system) {
            let (x, foot) = (scale.x(limit), top + BAR);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{foot:.1}\" stroke=\"#c92a2a\"/>"
            );
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::{Figure, Limit};

    #[test]
    fn a_negative_median_and_a_limit_beyond_the_bars_are_drawn() {
        let samples = Samples { values: vec![-2.0] };
        let limit = Limit { what: "limit", turns: Samples { values: vec![8.0] } };
        let line = Line {
            row: "row".to_owned(),
            figure: Figure::new("over", "ms", Better::Lower, 1),
            samples: BTreeMap::from([(System::Thalweg, samples)]),
            limits: BTreeMap::from([(System::Thalweg, limit)]),
            target: None,
            failed: Vec::new(),
        };
        let scale = Scale::new(&[&line]).expect("it is not zero everywhere");
        let mut svg = String::new();
        group(&mut svg, &line, 0.0, &scale);
        assert!(!svg.contains("width=\"-"), "{svg}");
        assert!(svg.contains("#c92a2a"), "{svg}");
        assert_eq!((scale.x(-2.0), scale.x(8.0)), (LEFT, WIDTH - RIGHT));
    }
}
