//! The plot: what a denied packet costs, by the number of prefixes, a line for each competitor.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (880, 520);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
/// Told apart by most of those who see colours otherwise (Okabe and Ito's), in the order of the
/// competitors.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x80, 0x80, 0x80),
];

/// One competitor.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// Prefixes, and nanoseconds.
    pub(super) points: Vec<(usize, f64)>,
}

/// Draws them into a file, on a light ground of its own: it is read on pages of any colour.
#[expect(clippy::cast_precision_loss, reason = "numbers of prefixes")]
pub(super) fn draw(file: &Path, curves: &[Curve]) -> Result<()> {
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let most = points().map(|(prefixes, _)| prefixes).max().unwrap_or_default().max(10);
    let dearest = points().map(|(_, cost)| cost).fold(0.0, f64::max);
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("{}: {error}", file.display());
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "What a packet of a denied IPv4 source costs the receiver",
            (FONT, 19).into_font().color(&INK),
        )
        .margin(14)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..most as f64).log_scale(), 0.0..dearest * 1.08)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc("prefixes in the set")
        .y_desc("nanoseconds a packet")
        .x_label_formatter(&|prefixes| grouped(*prefixes))
        .y_label_formatter(&|cost| grouped(*cost))
        .label_style((FONT, 13).into_font().color(&INK))
        .axis_desc_style((FONT, 14).into_font().color(&INK))
        .draw()
        .map_err(failed)?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let points = curve.points.iter().map(|(prefixes, cost)| (*prefixes as f64, *cost));
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
            .map_err(failed)?
            .label(curve.name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
        let dots = points.map(|point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(12)
        .legend_area_size(28)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font((FONT, 14).into_font().color(&INK))
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}

/// A whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_competitor_has_a_line_and_a_name_in_the_plot() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plot.svg");
        let curves = [
            Curve { name: "quick", points: vec![(1, 90.0), (1_000_000, 110.0)] },
            Curve { name: "slow", points: vec![(1, 500.0), (1_000_000, 1500.0)] },
        ];
        draw(&file, &curves).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        for (text, times) in [("<polyline", 4), ("<circle", 4)] {
            assert!(svg.matches(text).count() >= times, "{text}: {svg}");
        }
        for text in ["quick", "slow", "1,000,000", "prefixes in the set", "nanoseconds a packet"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
