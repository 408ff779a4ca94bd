//! Draws a table as a plot.

use std::path::Path;

use plotters::prelude::*;

use crate::table::{Table, unit};

/// A palette for color-blind readers, after Okabe and Ito (2008).
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 150, 150),
];

/// Draws a line for each column. Both axes are logarithmic.
pub fn draw(table: &Table, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let points = |cells: &[Option<heirloom_bench::measure::Quartiles>]| -> Vec<(f64, f64)> {
        let rows = table.rows.iter().zip(cells);
        rows.filter_map(|((position, _), cell)| Some((*position, cell.as_ref()?.median))).collect()
    };
    let all: Vec<_> = table.columns.iter().flat_map(|(_, cells)| points(cells)).collect();
    let range = |value: fn(&(f64, f64)) -> f64| {
        let values = all.iter().map(value);
        (values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max))
    };
    let ((left, right), (low, high)) = (range(|point| point.0), range(|point| point.1));

    let root = SVGBackend::new(path, (900, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, legend) = root.split_horizontally(640);
    let bottom = low / 1.5;
    let mut chart = ChartBuilder::on(&plot)
        .caption(table.title, ("sans-serif", 20))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(44)
        .y_label_area_size(74)
        .build_cartesian_2d((left..right).log_scale(), (bottom..high * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc(table.row_header)
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|nanoseconds| {
            let (unit, size) = unit(nanoseconds * 1.0001);
            format!("{:.0} {unit}", nanoseconds / size)
        })
        .draw()?;
    // The row labels, at their positions.
    let label = |text: &str, at| Text::new(text.to_owned(), at, ("sans-serif", 12).into_font());
    let rows = table.rows.iter();
    chart.draw_series(rows.map(|(position, text)| EmptyElement::at((*position, bottom)) + label(text, (-12, 6))))?;

    for (index, (name, cells)) in table.columns.iter().enumerate() {
        let color = COLORS[index % COLORS.len()].stroke_width(2);
        let line = points(cells);
        chart.draw_series(LineSeries::new(line.clone(), color))?;
        let y = 50 + 22 * i32::try_from(index)?;
        legend.draw(&PathElement::new([(0, y), (24, y)], color))?;
        legend.draw(&label(name, (32, y - 6)))?;
        // The second column in a color has squares.
        if index < COLORS.len() {
            chart.draw_series(line.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
            legend.draw(&Circle::new((12, y), 3, color.filled()))?;
        } else {
            let square = |at| EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], color.filled());
            chart.draw_series(line.into_iter().map(square))?;
            legend.draw(&Rectangle::new([(8, y - 4), (16, y + 4)], color.filled()))?;
        }
    }
    root.present()?;
    Ok(())
}
