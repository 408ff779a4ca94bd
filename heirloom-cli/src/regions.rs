//! The regions that a command line asks for.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use heirloom::{Command, FrozenRegion, Region};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, printable};
use crate::options::{Place, Regions};
use crate::{standard, sys};

/// What is read faster than a bar is drawn shows none, in bytes.
const LONG: u64 = 64 << 20;

/// How much is saved at once, in bytes.
const BLOCK: usize = 1 << 20;

pub struct Named {
    pub name: String,
    pub memory: Memory,
}

pub enum Memory {
    Shared(Region),
    Frozen(FrozenRegion),
}

/// Makes them all, after the cheap mistakes were looked for.
pub fn make(wanted: &Regions) -> Result<Vec<Named>, Failure> {
    let mut seen = HashSet::new();
    for name in wanted.names() {
        if name == "job" || name == "jobs" {
            return Err(Failure::new(format_args!(
                "a region can't be named {name:?}: {{{name}}} has a meaning of its own"
            )));
        }
        if !seen.insert(name) {
            return Err(Failure::new(format_args!("two regions are named {name:?}")));
        }
    }
    if wanted.frozen.iter().filter(|frozen| frozen.value == Place::Standard).count() > 1 {
        return Err(Failure::new("standard input can be read once, for one region"));
    }
    let mut made = Vec::new();
    // What can fail at once comes first; a fill may take long.
    for shared in &wanted.shared {
        let region = Region::options().name(&shared.name).create(shared.value.0)?;
        made.push(Named { name: shared.name.clone(), memory: Memory::Shared(region) });
    }
    for frozen in &wanted.frozen {
        let region = match &frozen.value {
            Place::Standard => fill(&frozen.name, &standard::input()?, None)?,
            Place::File(path) => fill_from(&frozen.name, path)?,
        };
        made.push(Named { name: frozen.name.clone(), memory: Memory::Frozen(region) });
    }
    Ok(made)
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
    /// What a child that inherits it finds it by.
    pub fn reference(&self) -> String {
        match &self.memory {
            Memory::Shared(region) => sys::reference(region),
            Memory::Frozen(region) => sys::reference(region),
        }
    }

    pub fn hand_down(&self, command: &mut Command) -> Result<(), Failure> {
        match &self.memory {
            Memory::Shared(region) => command.inherit(&self.name, region)?,
            Memory::Frozen(region) => command.inherit(&self.name, region)?,
        };
        Ok(())
    }

    /// Writes all it holds: into a new file that then takes the old one's place, so that a failure leaves the old one.
    pub fn save(&self, place: &Place) -> Result<(), Failure> {
        let path = match place {
            Place::Standard => return standard::write(|output| self.write_to(output)),
            Place::File(path) => path,
        };
        let failed = |error| Failure::new(format_args!("cannot save {:?} to {}: {error}", self.name, path.display()));
        // Through a link, to what it names.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let old = fs::metadata(&path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            // A device, a pipe: nothing can take its place.
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
        match &self.memory {
            Memory::Frozen(region) => output.write_all(&region.map()?),
            Memory::Shared(region) => {
                // A descendant that was left behind may still write, so it is copied out block by block.
                let view = region.map()?;
                let mut block = vec![0; BLOCK];
                for offset in (0..view.len()).step_by(BLOCK) {
                    let part = &mut block[..BLOCK.min(view.len() - offset)];
                    view.read_at(offset, part)?;
                    output.write_all(part)?;
                }
                Ok(())
            }
        }
    }
}

/// Where a file is, or would be.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}
