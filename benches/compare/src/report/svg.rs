//! Pictures: for each figure a pair of bars with the range of the samples and the machine's limit.

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
    most: f64,
}

impl Scale {
    fn new(lines: &[&Line]) -> Option<Self> {
        let samples =
            lines.iter().flat_map(|line| line.samples.values()).filter_map(Samples::range);
        let most = samples.map(|(_, most)| most).max_by(f64::total_cmp)?;
        (most > 0.0).then_some(Self { most })
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * value / self.most
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
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#212529\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            scale.x(median) - LEFT,
            scale.x(least),
            scale.x(most),
            scale.x(most) + 6.0,
            top + BAR - 2.0,
            number(median, line.figure.digits),
        );
    }
    if let Some((limit, _)) = line.limit.filter(|(limit, _)| *limit <= scale.most) {
        let x = scale.x(limit);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\" stroke=\"#c92a2a\"/>",
            y + 2.0 * BAR + 2.0
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
