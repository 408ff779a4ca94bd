//! `ps`: every region that the caller may see, and its holders.

use std::io::{self, Write};
use std::mem;
use std::process::ExitCode;

use heirloom::RegionKind;
use heirloom::os::linux::{self, RegionInfo};
use serde::Serialize;

use super::tree::tree;
use crate::failure::{Failure, printable};
use crate::options::Ps;
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
    pss: Option<u64>,
}

impl<'a> From<&'a RegionInfo> for Region<'a> {
    fn from(region: &'a RegionInfo) -> Self {
        let holders = region.holders.iter().map(|holder| Holder {
            pid: holder.pid,
            command: &holder.command,
            open: holder.open,
            mapped: holder.mapped,
            pss: holder.pss,
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

pub fn ps(options: &Ps) -> Result<ExitCode, Failure> {
    let mut census = linux::regions()?;
    // The regions of one run are next to each other.
    census.regions.sort_by_cached_key(|region| (region.holders.first().map(|holder| holder.pid), region.name.clone()));
    standard::write(|output| {
        if options.format.json {
            let regions: Vec<Region> = census.regions.iter().map(Region::from).collect();
            let report = serde_json::json!({ "regions": regions, "processes_hidden": census.hidden_processes });
            serde_json::to_writer_pretty(&mut *output, &report)?;
            return writeln!(output);
        }
        print(output, &census.regions, options.tree)?;
        match census.hidden_processes {
            0 => Ok(()),
            1 => writeln!(output, "1 process could not be inspected"),
            hidden => writeln!(output, "{hidden} processes could not be inspected"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each holder, the first of which also describes the region.
fn print(output: &mut dyn Write, regions: &[RegionInfo], as_tree: bool) -> io::Result<()> {
    let size = |size: Option<u64>| size.map_or("?".to_owned(), human);
    let mut rows = Vec::new();
    for region in regions {
        let name = region.name.as_deref().map_or("-".to_owned(), printable);
        let kind = region.kind.map_or("?", RegionKind::as_str).to_owned();
        let mut cells = [size(region.size), size(region.resident), kind, name];
        let holders = &region.holders;
        let lines = if as_tree { tree(holders) } else { holders.iter().map(|holder| (0, holder)).collect() };
        for (depth, holder) in lines {
            let how = match (holder.open, holder.mapped) {
                (true, true) => "open, mapped",
                (true, false) => "open",
                _ => "mapped",
            };
            let [region_size, resident, kind, name] = mem::take(&mut cells);
            let command = "  ".repeat(depth) + &printable(&holder.command);
            let (pid, pss) = (holder.pid.to_string(), size(holder.pss));
            rows.push([region_size, resident, kind, name, pid, command, pss, how.to_owned()]);
        }
        if as_tree && holders.len() > 1 {
            let mut sum: [String; 8] = Default::default();
            sum[5] = format!("{} processes", holders.len());
            sum[6] = size(holders.iter().map(|holder| holder.pss).sum());
            rows.push(sum);
        }
    }
    let columns = [
        Column::Right("SIZE"),
        Column::Right("RESIDENT"),
        Column::Left("KIND"),
        Column::Left("NAME"),
        Column::Right("PID"),
        Column::Left("COMMAND"),
        Column::Right("PSS"),
        Column::Left("HELD"),
    ];
    table::print(output, &columns, &rows)
}
