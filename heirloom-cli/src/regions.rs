//! The regions of a command line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IsTerminal};

use heirloom::{AnyRegion, FrozenOptions, FrozenRegion, Region};
use indicatif::{ProgressBar, ProgressStyle};

use crate::assignment::{Assignment, Place};
use crate::failure::{Failure, printable};
use crate::options::Regions;
use crate::source;
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
    if wanted.filled().filter(|filled| filled.value == Place::Standard).count() > 1 {
        return Err(Failure::new("only one region can be read from standard input"));
    }
    Ok(())
}

/// Creates all regions but the secret ones.
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
        let fill = Fill { frozen, options, max };
        let region =
            source::read(&frozen.value, |file, len| fill.fill(file, len).map_err(|error| fill.failed(&error)))?;
        created.push(Named { name: frozen.name.clone(), region: region.into() });
    }
    for named in &created {
        sys::prepare(&named.region, &wanted.system)?;
    }
    Ok(created)
}

/// How to fill a frozen region.
struct Fill<'a> {
    frozen: &'a Assignment<Place>,
    options: FrozenOptions,
    /// Its largest size in bytes, which the options have too.
    max: u64,
}

impl Fill<'_> {
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
        bar.set_message(printable(&self.frozen.name));
        let region = self.options.from_reader(bar.wrap_read(Patient(file)));
        bar.finish_and_clear();
        region
    }

    fn failed(&self, error: &heirloom::Error) -> Failure {
        // The library's advice for this error, and no other, is about its option.
        if !error.advice().is_some_and(|advice| advice.contains("max_size")) {
            return error.clone().into();
        }
        let (name, max, why) = (&self.frozen.name, self.max, error.message());
        let input = match &self.frozen.value {
            Place::Standard => "standard input".to_owned(),
            Place::File(path) => path.display().to_string(),
        };
        Failure::new(format_args!("{input} is too large for region {name:?} with --max {max}: {why}; raise --max"))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
