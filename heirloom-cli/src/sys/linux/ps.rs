//! `ps`: every region that the caller may see, and its holders.

use std::io::{self, Write};
use std::process::ExitCode;

use heirloom::RegionKind;
use heirloom::os::linux::{self, RegionInfo};
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::standard;

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
    let census = linux::regions()?;
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

fn print(output: &mut dyn Write, regions: &[Region]) -> io::Result<()> {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    writeln!(output, "{:>15} {:>15}  {:<9}  {:<16}  HELD BY", "SIZE", "RESIDENT", "KIND", "NAME")?;
    for region in regions {
        let name = if region.name.is_empty() { "-".to_owned() } else { printable(region.name) };
        let holders = region.holders.iter().map(|holder| {
            let how = match (holder.open, holder.mapped) {
                (true, true) => "open, mapped",
                (true, false) => "open",
                _ => "mapped",
            };
            format!("{} {} ({how})", holder.pid, printable(holder.command))
        });
        let holders = holders.collect::<Vec<_>>().join("; ");
        let (size, resident, kind) = (number(region.size), number(region.resident), region.kind.unwrap_or("?"));
        writeln!(output, "{size:>15} {resident:>15}  {kind:<9}  {name:<16}  {holders}")?;
    }
    Ok(())
}
