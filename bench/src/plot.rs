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

    let root = SVGBackend::new(to, (900, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, legend) = root.split_horizontally(640);
    let bottom = low / 1.5;
    let mut chart = ChartBuilder::on(&plot)
        .caption(sheet.title, ("sans-serif", 20))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(44)
        .y_label_area_size(74)
        .build_cartesian_2d((left..right).log_scale(), (bottom..high * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc(sheet.rows)
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|nanoseconds| {
            let (unit, size) = unit(nanoseconds * 1.0001);
            format!("{:.0} {unit}", nanoseconds / size)
        })
        .draw()?;
    // The rows as they are called, at their places.
    let label = |text: &str, at| Text::new(text.to_owned(), at, ("sans-serif", 12).into_font());
    let rows = sheet.places.iter();
    chart.draw_series(rows.map(|(place, text)| EmptyElement::at((*place, bottom)) + label(text, (-12, 6))))?;

    for (index, (name, spreads)) in sheet.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()].stroke_width(2);
        let line = points(spreads);
        chart.draw_series(LineSeries::new(line.clone(), colour))?;
        let row = 50 + 22 * i32::try_from(index)?;
        legend.draw(&PathElement::new([(0, row), (24, row)], colour))?;
        legend.draw(&label(name, (32, row - 6)))?;
        // The second to have a colour has squares.
        if index < COLOURS.len() {
            chart.draw_series(line.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
            legend.draw(&Circle::new((12, row), 3, colour.filled()))?;
        } else {
            let square = |at| EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], colour.filled());
            chart.draw_series(line.into_iter().map(square))?;
            legend.draw(&Rectangle::new([(8, row - 4), (16, row + 4)], colour.filled()))?;
        }
    }
    root.present()?;
    Ok(())
}
