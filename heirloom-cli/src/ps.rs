//! `ps`: every region that the caller may see, and who holds it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::linux::fs::MetadataExt;
use std::process::ExitCode;

use heirloom::Kind;
use procfs::ProcError;
use procfs::process::{FDTarget, MMapPath, Process};
use rustix::fs::{SealFlags, fcntl_get_seals, makedev};
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::standard_output;

#[derive(Default, Serialize)]
struct Region {
    name: String,
    /// Bytes; none where no descriptor of it can be looked at.
    size: Option<u64>,
    /// Bytes in memory or swap.
    resident: Option<u64>,
    kind: Option<&'static str>,
    holders: Vec<Holder>,
}

#[derive(Serialize)]
struct Holder {
    pid: i32,
    command: String,
    /// It has a descriptor.
    open: bool,
    /// It has a mapping.
    mapped: bool,
}

/// Device and inode.
type Identity = (u64, u64);

#[derive(Default)]
struct Survey {
    regions: BTreeMap<Identity, Region>,
    /// How many processes could not be looked into.
    hidden: usize,
}

pub fn ps(format: &Format) -> Result<ExitCode, Failure> {
    let processes = procfs::process::all_processes();
    let processes = processes.map_err(|error| Failure::new(format_args!("cannot list the processes: {error}")))?;
    let mut survey = Survey::default();
    for process in processes {
        match process.and_then(|process| survey.look_into(&process)) {
            // It ended meanwhile.
            Ok(()) | Err(ProcError::NotFound(_)) => {}
            Err(_) => survey.hidden += 1,
        }
    }
    let regions: Vec<_> = survey.regions.into_values().collect();
    standard_output::write(|output| {
        if format.json {
            let report = serde_json::json!({ "regions": regions, "processes_hidden": survey.hidden });
            serde_json::to_writer_pretty(&mut *output, &report)?;
            return writeln!(output);
        }
        print(output, &regions)?;
        match survey.hidden {
            0 => Ok(()),
            1 => writeln!(output, "1 process could not be looked into"),
            hidden => writeln!(output, "{hidden} processes could not be looked into"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Survey {
    fn look_into(&mut self, process: &Process) -> Result<(), ProcError> {
        // Descriptors say most, so they come first; some processes end between the two.
        for descriptor in process.fd()? {
            let Ok(descriptor) = descriptor else { continue };
            if let FDTarget::MemFD(name) = &descriptor.target {
                self.add_open(process, descriptor.fd, name);
            }
        }
        for map in process.maps()? {
            if let MMapPath::Path(path) = &map.pathname {
                let name = path.to_str().and_then(|path| path.strip_prefix("/memfd:")).and_then(region_name);
                let (Some(name), Ok(major), Ok(minor)) = (name, map.dev.0.try_into(), map.dev.1.try_into()) else {
                    continue;
                };
                self.holder((makedev(major, minor), map.inode), name, process).mapped = true;
            }
        }
        Ok(())
    }

    fn add_open(&mut self, process: &Process, number: i32, name: &str) {
        let path = format!("/proc/{}/fd/{number}", process.pid);
        let (Some(name), Ok(status)) = (region_name(name), fs::metadata(&path)) else { return };
        let identity = (status.st_dev(), status.st_ino());
        self.holder(identity, name, process).open = true;
        let region = self.regions.entry(identity).or_default();
        region.size = Some(status.st_size());
        region.resident = Some(status.st_blocks() * 512);
        if region.kind.is_none() {
            region.kind = kind(&path).ok().flatten().map(Kind::as_str);
        }
    }

    /// The process's entry under the region, made where there is none yet.
    fn holder(&mut self, identity: Identity, name: String, process: &Process) -> &mut Holder {
        let region = self.regions.entry(identity).or_insert_with(|| Region { name, ..Region::default() });
        let known = region.holders.iter().position(|holder| holder.pid == process.pid);
        let index = known.unwrap_or_else(|| {
            let command = process.stat().map(|stat| stat.comm).unwrap_or_default();
            region.holders.push(Holder { pid: process.pid, command, open: false, mapped: false });
            region.holders.len() - 1
        });
        &mut region.holders[index]
    }
}

/// The name of a region of ours, from what the kernel calls it.
fn region_name(kernels: &str) -> Option<String> {
    let name = kernels.strip_suffix(" (deleted)").unwrap_or(kernels).strip_prefix("heirloom")?;
    match name.strip_prefix(':') {
        Some(name) => Some(name.to_owned()),
        None => name.is_empty().then(String::new),
    }
}

/// What the seals say; nothing where the size is not fixed, as for a moment at birth.
fn kind(path: &str) -> io::Result<Option<Kind>> {
    let seals = fcntl_get_seals(File::open(path)?)?;
    Ok(if seals.contains(SealFlags::WRITE) {
        Some(Kind::Frozen)
    } else if seals.contains(SealFlags::FUTURE_WRITE) {
        Some(Kind::Published)
    } else if seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        Some(Kind::Writable)
    } else {
        None
    })
}

fn print(output: &mut dyn Write, regions: &[Region]) -> io::Result<()> {
    let escape = |text: &str| text.chars().flat_map(printable).collect::<String>();
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    writeln!(output, "{:>15} {:>15}  {:<9}  {:<16}  HELD BY", "SIZE", "RESIDENT", "KIND", "NAME")?;
    for region in regions {
        let name = if region.name.is_empty() { "-".to_owned() } else { escape(&region.name) };
        let holders = region.holders.iter().map(|holder| {
            let how = match (holder.open, holder.mapped) {
                (true, true) => "open, mapped",
                (true, false) => "open",
                _ => "mapped",
            };
            format!("{} {} ({how})", holder.pid, escape(&holder.command))
        });
        let holders = holders.collect::<Vec<_>>().join("; ");
        let (size, resident, kind) = (number(region.size), number(region.resident), region.kind.unwrap_or("?"));
        writeln!(output, "{size:>15} {resident:>15}  {kind:<9}  {name:<16}  {holders}")?;
    }
    Ok(())
}
