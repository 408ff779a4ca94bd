//! The regions of a command line.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use heirloom::{AnyRegion, FrozenRegion, ReadOnlyBytes, Region};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, printable};
use crate::options::{Place, Regions};
use crate::{standard, sys};

/// The size in bytes from which a fill shows a progress bar: a smaller one ends before the bar is drawn.
const LONG: u64 = 64 << 20;

/// The number of bytes that are saved at once.
const BLOCK: usize = 1 << 20;

pub struct Named {
    pub name: String,
    pub region: AnyRegion,
}

/// Checks the names, and creates all regions.
pub fn create(wanted: &Regions) -> Result<Vec<Named>, Failure> {
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
    let mut created = Vec::new();
    // First, because it fails at once if at all; filling a frozen region may take long.
    for shared in &wanted.shared {
        let region = Region::options().name(&shared.name).create(shared.value.0)?;
        created.push(Named { name: shared.name.clone(), region: region.into() });
    }
    for frozen in &wanted.frozen {
        let region = match &frozen.value {
            Place::Standard => fill(&frozen.name, &standard::input()?, None)?,
            Place::File(path) => fill_from(&frozen.name, path)?,
        };
        created.push(Named { name: frozen.name.clone(), region: region.into() });
    }
    Ok(created)
}

fn fill_from(name: &str, path: &Path) -> Result<FrozenRegion, Failure> {
    let shown = path.display();
    let unreadable = |error| Failure::new(format_args!("cannot read {shown}: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let before = file.metadata().map_err(unreadable)?;
    if before.is_dir() {
        return Err(Failure::new(format_args!("cannot read {shown}: it is a directory")));
    }
    let region = fill(name, &file, before.is_file().then_some(before.len()))?;
    let after = file.metadata().map_err(unreadable)?;
    if before.is_file() && sys::stamp(&before) != sys::stamp(&after) {
        return Err(Failure::new(format_args!("{shown} changed while it was read")));
    }
    Ok(region)
}

fn fill(name: &str, file: &File, len: Option<u64>) -> Result<FrozenRegion, Failure> {
    let mut options = FrozenRegion::options();
    options.name(name);
    let long = len.is_none_or(|len| len >= LONG);
    if !(long && io::stderr().is_terminal()) {
        return Ok(options.from_file(file)?);
    }
    let bar = match len {
        Some(len) => ProgressBar::new(len).with_style(style("{msg} {bar:40} {bytes}/{total_bytes} {eta}")),
        None => ProgressBar::no_length().with_style(style("{msg} {spinner} {bytes} {bytes_per_sec}")),
    };
    bar.set_message(printable(name));
    let region = options.from_reader(bar.wrap_read(file));
    bar.finish_and_clear();
    Ok(region?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Named {
    /// Saves the region into a new file that then replaces an old one, so that a failure leaves the old one unchanged.
    pub fn save(&self, place: &Place) -> Result<(), Failure> {
        let path = match place {
            Place::Standard => return standard::write(|output| self.write_to(output)),
            Place::File(path) => path,
        };
        let failed = |error| Failure::new(format_args!("cannot save {:?} to {}: {error}", self.name, path.display()));
        // A link's target is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let old = fs::metadata(&path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            // A device or a pipe cannot be replaced.
            let saved = File::options().write(true).open(&path).and_then(|mut file| self.write_to(&mut file));
            return saved.map_err(failed);
        }
        let saved = || {
            let mut new = sys::new_file(directory_of(&path), old.as_ref())?;
            self.write_to(new.as_file_mut())?;
            new.persist(&path)?;
            Ok(())
        };
        saved().map_err(failed)
    }

    fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        match &self.region {
            AnyRegion::Writable(region) => copy_to(&*region.map()?, output),
            AnyRegion::ReadOnly(region) => copy_to(&*region.map()?, output),
            AnyRegion::Frozen(region) => output.write_all(&region.map()?),
        }
    }
}

/// Copies the bytes out block by block, because a descendant that is still running may write them.
fn copy_to(bytes: &ReadOnlyBytes, output: &mut dyn Write) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    for offset in (0..bytes.len()).step_by(BLOCK) {
        let part = &mut block[..BLOCK.min(bytes.len() - offset)];
        bytes.read_at(offset, part)?;
        output.write_all(part)?;
    }
    Ok(())
}

/// Returns the directory of a file, which need not exist.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}
