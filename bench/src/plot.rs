//! A sheet as a picture.

use std::path::Path;

use plotters::prelude::*;

use crate::sheet::{Sheet, unit};

/// Told apart by colour-blind readers too, see Okabe and Ito (2008).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 150, 150),
];

/// Draws a line for each series, both axes logarithmic.
pub fn draw(sheet: &Sheet, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let points = |spreads: &[Option<heirloom_bench::measure::Spread>]| -> Vec<(f64, f64)> {
        let known = sheet.places.iter().zip(spreads);
        known.filter_map(|((place, _), spread)| Some((*place, spread.as_ref()?.median))).collect()
    };
    let all: Vec<_> = sheet.series.iter().flat_map(|(_, spreads)| points(spreads)).collect();
    let range = |value: fn(&(f64, f64)) -> f64| {
        let values = all.iter().map(value);
        (values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max))
    };
    let ((left, right), (low, high)) = (range(|point| point.0), range(|point| point.1));

    let root = SVGBackend::new(to, (860, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(sheet.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(74)
        .build_cartesian_2d((left..right).log_scale(), (low / 1.5..high * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(sheet.rows)
        .x_labels(0)
        .y_label_formatter(&|nanoseconds| {
            let (unit, size) = unit(nanoseconds * 1.0001);
            format!("{:.0} {unit}", nanoseconds / size)
        })
        .draw()?;
    for ((name, spreads), colour) in sheet.series.iter().zip(COLOURS.iter().cycle()) {
        let line = points(spreads);
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    // The rows as they are called, at their places.
    let bottom = low / 1.5;
    chart.draw_series(sheet.places.iter().map(|(place, label)| {
        EmptyElement::at((*place, bottom)) + Text::new(label.clone(), (-10, 6), ("sans-serif", 12).into_font())
    }))?;
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE.mix(0.85)).draw()?;
    root.present()?;
    Ok(())
}
