//! `--save`: the regions that are written to files when every worker succeeded.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use heirloom::{AnyRegion, ReadOnlyBytes};

use crate::assignment::Place;
use crate::failure::{self, Failure};
use crate::options::Run;
use crate::regions::Named;
use crate::standard;
use crate::sys::{self, Destination, Unfinished};

/// The number of bytes that are mapped at once: a region may be larger than the address space.
const WINDOW: u64 = 64 << 20;

/// The number of bytes that are copied at once.
const BLOCK: usize = 1 << 20;

/// The destinations of a command line, opened.
pub struct Saves<'a>(Vec<Save<'a>>);

struct Save<'a> {
    name: &'a str,
    to: To<'a>,
}

enum To<'a> {
    Standard,
    File(&'a Path, Destination),
}

impl<'a> Saves<'a> {
    /// Opens the destinations, before any work is done.
    pub fn open(options: &'a Run) -> Result<Self, Failure> {
        let mut opened = Self(Vec::new());
        for save in &options.save {
            let name = save.name.as_str();
            if !options.regions.names().any(|region| region == name) {
                let names = options.regions.names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
                let known = match &*names {
                    "" => "no region is created".to_owned(),
                    names => format!("the regions are {names}"),
                };
                return Err(Failure::new(format_args!("cannot save {name:?}: no region has this name; {known}")));
            }
            if sys::secrets(&options.regions.system).iter().any(|secret| secret.name == name) {
                return Err(Failure::new(format_args!(
                    "cannot save {name:?}: it is a secret region, whose bytes are not written to files"
                )));
            }
            let to = match &save.value {
                Place::Standard => {
                    standard::check_output()?;
                    To::Standard
                }
                Place::File(path) => To::File(path, opened.destination(name, path)?),
            };
            opened.0.push(Save { name, to });
        }
        Ok(opened)
    }

    fn destination(&self, name: &str, path: &Path) -> Result<Destination, Failure> {
        let failed =
            |why: &dyn Display| Failure::new(format_args!("cannot save {name:?} to {}: {why}", path.display()));
        let destination = Destination::open(path).map_err(|error| failed(&error))?;
        for save in &self.0 {
            if let To::File(_, other) = &save.to {
                if destination.replaces(other).map_err(|error| failed(&error))? {
                    return Err(failed(&format_args!("{:?} is saved to the same file", save.name)));
                }
            }
        }
        Ok(destination)
    }

    /// Returns the files that were created and hold nothing yet.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let files = self.0.iter().filter_map(|save| match &save.to {
            To::File(_, destination) => destination.unfinished(),
            To::Standard => None,
        });
        files.collect()
    }

    /// Reports that the regions are not saved, and why.
    pub fn give_up(self, why: &str) {
        for save in &self.0 {
            failure::print(format_args!("{:?} was not saved, because {why}", save.name));
        }
    }

    /// Saves the regions. If one can't be saved, its bytes stay reachable, and the others are saved all the same.
    pub fn write(self, regions: &[Named]) -> Result<(), Failure> {
        let mut first = Ok(());
        for mut save in self.0 {
            let Some(region) = regions.iter().find(|region| region.name == save.name) else { continue };
            if let Err(failure) = save.write(region) {
                first = first.and(Err(keep(region, &failure)));
            }
        }
        first
    }
}

impl Save<'_> {
    fn write(&mut self, named: &Named) -> Result<(), String> {
        let region = &named.region;
        match &mut self.to {
            To::Standard => standard::write(|output| write_to(region, output))
                .map_err(|failure| format!("cannot save {:?}: {failure}", self.name)),
            To::File(path, destination) => destination
                .save(region.size(), |output| write_to(region, output))
                .map_err(|error| format!("cannot save {:?} to {}: {error}", self.name, path.display())),
        }
    }
}

/// Keeps the bytes of a region that couldn't be saved: in a temporary file, or in this process.
fn keep(named: &Named, failure: &str) -> Failure {
    let kept = || -> io::Result<PathBuf> {
        let mut file = tempfile::Builder::new().prefix("heirloom-").tempfile()?;
        write_to(&named.region, file.as_file_mut())?;
        Ok(file.keep()?.1)
    };
    match kept() {
        Ok(path) => Failure::new(format_args!("{failure}; its bytes are in {}", path.display())),
        Err(error) => {
            let temporary = std::env::temp_dir();
            let temporary = temporary.display();
            let tried = format!("{failure}; nor to a file in {temporary}: {error}");
            sys::keep(&named.region, &tried)
        }
    }
}

fn write_to(region: &AnyRegion, output: &mut dyn Write) -> io::Result<()> {
    let mut start = 0;
    while start < region.size() {
        let window = start..region.size().min(start + WINDOW);
        start = window.end;
        match region {
            // Mapped copy-on-write, since a worker may have made it read-only or frozen it.
            AnyRegion::Writable(region) => copy_to(&**region.map_copy_range(window)?, output)?,
            AnyRegion::ReadOnly(region) => copy_to(&**region.map_copy_range(window)?, output)?,
            AnyRegion::Frozen(region) => output.write_all(&region.map_range(window)?)?,
        }
    }
    Ok(())
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
