//! Tables with a column as wide as its widest cell.

use std::io::{self, Write};

/// A column's title and alignment.
pub enum Column {
    Left(&'static str),
    Right(&'static str),
}

pub fn print<const N: usize>(output: &mut dyn Write, columns: &[Column; N], rows: &[[String; N]]) -> io::Result<()> {
    let titles = columns.each_ref().map(|(Column::Left(title) | Column::Right(title))| (*title).to_owned());
    let lines = || std::iter::once(&titles).chain(rows);
    let widths: [_; N] =
        std::array::from_fn(|index| lines().map(|line| line[index].chars().count()).max().unwrap_or_default());
    for line in lines() {
        let cells = line.iter().zip(columns).zip(widths).map(|((cell, column), width)| match column {
            Column::Left(_) => format!("{cell:<width$}"),
            Column::Right(_) => format!("{cell:>width$}"),
        });
        writeln!(output, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
