//! `list`: the regions that this process inherited.

use std::process::ExitCode;

use heirloom::InheritedState;
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::standard;

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
        writeln!(output, "{:>15}  {:<9}  NAME", "SIZE", "KIND")?;
        for row in &rows {
            let name = printable(&row.name);
            write!(output, "{:>15}  {:<9}  {name}", row.size, row.kind)?;
            match &row.missing {
                None => writeln!(output)?,
                Some(error) => writeln!(output, "  ({error})")?,
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
