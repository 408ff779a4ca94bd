//! The regions of a command line.

use std::collections::HashSet;
use std::fmt::Display;
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
        let (mut options, max) = (sys::frozen_options(&wanted.system), wanted.max());
        options.name(&frozen.name).max_size(max);
        let fill = Fill { name: &frozen.name, options, max };
        let region = match &frozen.value {
            Place::Standard => fill.from_input()?,
            Place::File(path) => fill.from_file(path)?,
        };
        created.push(Named { name: frozen.name.clone(), region: region.into() });
    }
    for named in &created {
        sys::prepare(&named.region, &wanted.system)?;
    }
    Ok(created)
}

/// How to fill a frozen region.
struct Fill<'a> {
    name: &'a str,
    options: FrozenOptions,
    /// Its largest size in bytes, which the options have too.
    max: u64,
}

#[allow(clippy::wrong_self_convention)] // `from_file` and its kin make a region, not a fill.
impl Fill<'_> {
    fn from_input(&self) -> Result<FrozenRegion, Failure> {
        let input = standard::input()?;
        let len = input.metadata().ok().filter(Metadata::is_file).map(|status| status.len());
        self.fill(&input, len).map_err(|error| self.failed(&"standard input", &error))
    }

    fn from_file(&self, path: &Path) -> Result<FrozenRegion, Failure> {
        let shown = path.display();
        let unreadable = |error| Failure::new(format_args!("cannot read {shown}: {error}"));
        let file = File::open(path).map_err(unreadable)?;
        let before = file.metadata().map_err(unreadable)?;
        if before.is_dir() {
            return Err(Failure::new(format_args!("cannot read {shown}: it is a directory")));
        }
        let len = before.is_file().then_some(before.len());
        let region = self.fill(&file, len).map_err(|error| self.failed(&shown, &error))?;
        let after = file.metadata().map_err(unreadable)?;
        if before.is_file() && sys::stamp(&before) != sys::stamp(&after) {
            return Err(Failure::new(format_args!("{shown} changed while it was read")));
        }
        Ok(region)
    }

    /// Fills a region from a file, of which `len` is the size if it has one.
    fn fill(&self, file: &File, len: Option<u64>) -> heirloom::Result<FrozenRegion> {
        // A file that is too large is refused at once.
        let long = len.is_none_or(|len| (LONG..=self.max).contains(&len));
        if !(long && io::stderr().is_terminal()) {
            // The kernel copies from a file; from a pipe or a terminal it can't if another process made it non-blocking.
            return match len {
                Some(_) => self.options.from_file(file),
                None => self.options.from_reader(Patient(file)),
            };
        }
        let bar = match len {
            Some(len) => ProgressBar::new(len).with_style(style("{msg} {bar:40} {bytes}/{total_bytes} {eta}")),
            None => ProgressBar::no_length().with_style(style("{msg} {spinner} {bytes} {bytes_per_sec}")),
        };
        bar.set_message(printable(self.name));
        let region = self.options.from_reader(bar.wrap_read(Patient(file)));
        bar.finish_and_clear();
        region
    }

    fn failed(&self, input: &dyn Display, error: &heirloom::Error) -> Failure {
        // The library's advice for this error, and no other, is about its option.
        if !error.advice().is_some_and(|advice| advice.contains("max_size")) {
            return error.clone().into();
        }
        let Self { name, max, .. } = self;
        let why = error.message();
        Failure::new(format_args!("{input} is too large for region {name:?} with --max {max}: {why}; raise --max"))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
