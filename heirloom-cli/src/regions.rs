//! The regions of a command line.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal};
use std::path::Path;

use heirloom::{AnyRegion, FrozenOptions, FrozenRegion, Region};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, printable};
use crate::options::{Place, Regions};
use crate::standard;
use crate::sys::{self, Patient};

/// The size in bytes from which a fill shows a progress bar: a smaller one ends before the bar is drawn.
const LONG: u64 = 64 << 20;

pub struct Named {
    pub name: String,
    pub region: AnyRegion,
}

/// Checks the names and where the content comes from.
pub fn check(wanted: &Regions) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for name in wanted.names() {
        if name == "job" || name == "jobs" {
            return Err(Failure::new(format_args!("cannot name a region {name:?}: {{{name}}} is reserved")));
        }
        if !seen.insert(name) {
            return Err(Failure::new(format_args!("two regions are named {name:?}")));
        }
    }
    if wanted.frozen.iter().filter(|frozen| frozen.value == Place::Standard).count() > 1 {
        return Err(Failure::new("only one region can be read from standard input"));
    }
    Ok(())
}

/// Creates all regions.
pub fn create(wanted: &Regions) -> Result<Vec<Named>, Failure> {
    let mut created = Vec::new();
    // First, because it fails at once if at all; filling a frozen region may take long.
    for shared in &wanted.shared {
        let region = Region::options().name(&shared.name).create(shared.value.0)?;
        created.push(Named { name: shared.name.clone(), region: region.into() });
    }
    for frozen in &wanted.frozen {
        let mut options = sys::frozen_options(&wanted.system);
        options.name(&frozen.name);
        let region = match &frozen.value {
            Place::Standard => fill_from_input(&frozen.name, &options)?,
            Place::File(path) => fill_from(&frozen.name, &options, path)?,
        };
        created.push(Named { name: frozen.name.clone(), region: region.into() });
    }
    for named in &created {
        sys::prepare(&named.region, &wanted.system)?;
    }
    Ok(created)
}

fn fill_from_input(name: &str, options: &FrozenOptions) -> Result<FrozenRegion, Failure> {
    let input = standard::input()?;
    let len = input.metadata().ok().filter(Metadata::is_file).map(|status| status.len());
    fill(name, options, &input, len)
}

fn fill_from(name: &str, options: &FrozenOptions, path: &Path) -> Result<FrozenRegion, Failure> {
    let shown = path.display();
    let unreadable = |error| Failure::new(format_args!("cannot read {shown}: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let before = file.metadata().map_err(unreadable)?;
    if before.is_dir() {
        return Err(Failure::new(format_args!("cannot read {shown}: it is a directory")));
    }
    let region = fill(name, options, &file, before.is_file().then_some(before.len()))?;
    let after = file.metadata().map_err(unreadable)?;
    if before.is_file() && sys::stamp(&before) != sys::stamp(&after) {
        return Err(Failure::new(format_args!("{shown} changed while it was read")));
    }
    Ok(region)
}

fn fill(name: &str, options: &FrozenOptions, file: &File, len: Option<u64>) -> Result<FrozenRegion, Failure> {
    let long = len.is_none_or(|len| len >= LONG);
    if !(long && io::stderr().is_terminal()) {
        // The kernel copies from a file; from a pipe or a terminal it can't if another process made it non-blocking.
        return Ok(match len {
            Some(_) => options.from_file(file)?,
            None => options.from_reader(Patient(file))?,
        });
    }
    let bar = match len {
        Some(len) => ProgressBar::new(len).with_style(style("{msg} {bar:40} {bytes}/{total_bytes} {eta}")),
        None => ProgressBar::no_length().with_style(style("{msg} {spinner} {bytes} {bytes_per_sec}")),
    };
    bar.set_message(printable(name));
    let region = options.from_reader(bar.wrap_read(Patient(file)));
    bar.finish_and_clear();
    Ok(region?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
