//! `ps`: every region that the caller may see, and who holds it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::linux::fs::MetadataExt;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use heirloom::RegionKind;
use rustix::fs::{Mode, OFlags, SealFlags, fcntl_get_seals, makedev};
use serde::Serialize;

use crate::failure::{Failure, printable};
use crate::options::Format;
use crate::standard;

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
    pid: u32,
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
    let unreadable = |error| Failure::new(format_args!("cannot list the processes: {error}"));
    let mut survey = Survey::default();
    let mut processes: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        processes.extend(entry.map_err(unreadable)?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    processes.sort_unstable();
    for pid in processes {
        // One that ended meanwhile is nothing to tell of.
        if survey.look_into(pid).is_err() && fs::exists(format!("/proc/{pid}")).unwrap_or(true) {
            survey.hidden += 1;
        }
    }
    let regions: Vec<_> = survey.regions.into_values().collect();
    standard::write(|output| {
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
    fn look_into(&mut self, pid: u32) -> io::Result<()> {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let path = entry?.path();
            // It was closed meanwhile.
            let Ok(link) = fs::read_link(&path) else { continue };
            if let Some(name) = region_name(link.as_os_str().as_bytes()) {
                self.add_open(pid, &path.to_string_lossy(), name);
            }
        }
        for line in fs::read(format!("/proc/{pid}/maps"))?.split(|byte| *byte == b'\n') {
            if let Some((identity, name)) = mapped_region(line) {
                self.holder(identity, name, pid).mapped = true;
            }
        }
        Ok(())
    }

    fn add_open(&mut self, pid: u32, path: &str, name: String) {
        let Ok(status) = fs::metadata(path) else { return };
        let identity = (status.st_dev(), status.st_ino());
        self.holder(identity, name, pid).open = true;
        let region = self.regions.entry(identity).or_default();
        region.size = Some(status.st_size());
        region.resident = Some(status.st_blocks() * 512);
        if region.kind.is_none() {
            region.kind = kind(path, identity).ok().flatten().map(RegionKind::as_str);
        }
    }

    /// The process's entry under the region, made where there is none yet.
    fn holder(&mut self, identity: Identity, name: String, pid: u32) -> &mut Holder {
        let region = self.regions.entry(identity).or_insert_with(|| Region { name, ..Region::default() });
        let known = region.holders.iter().position(|holder| holder.pid == pid);
        let index = known.unwrap_or_else(|| {
            let command = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).trim_end().to_owned();
            region.holders.push(Holder { pid, command, open: false, mapped: false });
            region.holders.len() - 1
        });
        &mut region.holders[index]
    }
}

/// The name of a region of ours, from what the kernel calls a file.
fn region_name(file: &[u8]) -> Option<String> {
    let name = file.strip_suffix(b" (deleted)").unwrap_or(file).strip_prefix(b"/memfd:heirloom")?;
    match name.strip_prefix(b":") {
        Some(name) => Some(String::from_utf8_lossy(name).into_owned()),
        None => name.is_empty().then(String::new),
    }
}

/// The region that a line of a process's maps shows, see `proc_pid_maps(5)`: addresses, permissions, offset, device, inode,
/// and behind spaces the file, whose newlines are written as `\\012`.
fn mapped_region(line: &[u8]) -> Option<(Identity, String)> {
    let file = line.iter().position(|byte| *byte == b'/')?;
    let (fields, file) = line.split_at(file);
    let name = region_name(file)?.replace("\\012", "\n");
    let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let device = makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    Some(((device, fields.next()?.parse().ok()?), name))
}

/// What the seals say; nothing where the size is not fixed, as for a moment at birth.
fn kind(path: &str, identity: Identity) -> io::Result<Option<RegionKind>> {
    // By now the number may be something else's, which must neither block nor become this process's terminal.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let status = file.metadata()?;
    if (status.st_dev(), status.st_ino()) != identity {
        return Ok(None);
    }
    let seals = fcntl_get_seals(file)?;
    Ok(if seals.contains(SealFlags::WRITE) {
        Some(RegionKind::Frozen)
    } else if seals.contains(SealFlags::FUTURE_WRITE) {
        Some(RegionKind::ReadOnly)
    } else if seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        Some(RegionKind::Writable)
    } else {
        None
    })
}

fn print(output: &mut dyn Write, regions: &[Region]) -> io::Result<()> {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    writeln!(output, "{:>15} {:>15}  {:<9}  {:<16}  HELD BY", "SIZE", "RESIDENT", "KIND", "NAME")?;
    for region in regions {
        let name = if region.name.is_empty() { "-".to_owned() } else { printable(&region.name) };
        let holders = region.holders.iter().map(|holder| {
            let how = match (holder.open, holder.mapped) {
                (true, true) => "open, mapped",
                (true, false) => "open",
                _ => "mapped",
            };
            format!("{} {} ({how})", holder.pid, printable(&holder.command))
        });
        let holders = holders.collect::<Vec<_>>().join("; ");
        let (size, resident, kind) = (number(region.size), number(region.resident), region.kind.unwrap_or("?"));
        writeln!(output, "{size:>15} {resident:>15}  {kind:<9}  {name:<16}  {holders}")?;
    }
    Ok(())
}
