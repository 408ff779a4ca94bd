//! `list`: the regions that this process inherited.

use std::process::ExitCode;

use heirloom::InheritedState;
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::size::human;
use crate::standard;
use crate::table::{self, Column};

#[derive(Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    size: u64,
    /// Why the region is unusable, if it is.
    missing: Option<String>,
}

pub fn list(format: &Format) -> Result<ExitCode, Failure> {
    let rows = heirloom::inherited()?.into_iter().map(|region| Row {
        name: region.name,
        kind: region.kind.as_str(),
        size: region.size,
        missing: match region.state {
            InheritedState::Missing(error) => Some(error.to_string()),
            _ => None,
        },
    });
    let rows: Vec<_> = rows.collect();
    standard::write(|output| {
        if format.json {
            serde_json::to_writer_pretty(&mut *output, &rows)?;
            return writeln!(output);
        }
        let cells = rows.iter().map(|row| {
            let name = printable(&row.name);
            let shown = row.missing.as_ref().map_or_else(|| name.clone(), |error| format!("{name}  ({error})"));
            [human(row.size), row.kind.to_owned(), shown]
        });
        let columns = [Column::Right("SIZE"), Column::Left("KIND"), Column::Left("NAME")];
        table::print(output, &columns, &cells.collect::<Vec<_>>())
    })?;
    Ok(ExitCode::SUCCESS)
}
