//! `ps`: every region that the caller may see, and its holders.

use std::io::{self, Write};
use std::mem;
use std::process::ExitCode;

use heirloom::RegionKind;
use heirloom::os::linux::{self, RegionInfo};
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::size::human;
use crate::standard;
use crate::table::{self, Column};

/// A region in the JSON output.
#[derive(Serialize)]
struct Region<'a> {
    name: &'a str,
    size: Option<u64>,
    resident: Option<u64>,
    kind: Option<&'static str>,
    holders: Vec<Holder<'a>>,
}

#[derive(Serialize)]
struct Holder<'a> {
    pid: u32,
    command: &'a str,
    open: bool,
    mapped: bool,
}

impl<'a> From<&'a RegionInfo> for Region<'a> {
    fn from(region: &'a RegionInfo) -> Self {
        let holders = region.holders.iter().map(|holder| Holder {
            pid: holder.pid,
            command: &holder.command,
            open: holder.open,
            mapped: holder.mapped,
        });
        Self {
            name: region.name.as_deref().unwrap_or_default(),
            size: region.size,
            resident: region.resident,
            kind: region.kind.map(RegionKind::as_str),
            holders: holders.collect(),
        }
    }
}

pub fn ps(format: &Format) -> Result<ExitCode, Failure> {
    let mut census = linux::regions()?;
    // The regions of one run are next to each other.
    census.regions.sort_by_cached_key(|region| (region.holders.first().map(|holder| holder.pid), region.name.clone()));
    let regions: Vec<Region> = census.regions.iter().map(Region::from).collect();
    standard::write(|output| {
        if format.json {
            let report = serde_json::json!({ "regions": regions, "processes_hidden": census.hidden_processes });
            serde_json::to_writer_pretty(&mut *output, &report)?;
            return writeln!(output);
        }
        print(output, &regions)?;
        match census.hidden_processes {
            0 => Ok(()),
            1 => writeln!(output, "1 process could not be inspected"),
            hidden => writeln!(output, "{hidden} processes could not be inspected"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each holder, the first of which also describes the region.
fn print(output: &mut dyn Write, regions: &[Region]) -> io::Result<()> {
    let size = |size: Option<u64>| size.map_or("?".to_owned(), human);
    let mut rows = Vec::new();
    for region in regions {
        let name = if region.name.is_empty() { "-".to_owned() } else { printable(region.name) };
        let mut cells = [size(region.size), size(region.resident), region.kind.unwrap_or("?").to_owned(), name];
        for holder in &region.holders {
            let how = match (holder.open, holder.mapped) {
                (true, true) => "open, mapped",
                (true, false) => "open",
                _ => "mapped",
            };
            let [size, resident, kind, name] = mem::take(&mut cells);
            rows.push([size, resident, kind, name, holder.pid.to_string(), printable(holder.command), how.to_owned()]);
        }
    }
    let columns = [
        Column::Right("SIZE"),
        Column::Right("RESIDENT"),
        Column::Left("KIND"),
        Column::Left("NAME"),
        Column::Right("PID"),
        Column::Left("COMMAND"),
        Column::Left("HELD"),
    ];
    table::print(output, &columns, &rows)
}
