//! Where a region's bytes come from.

use std::fs::{File, Metadata};
use std::path::Path;

use crate::assignment::Place;
use crate::failure::Failure;
use crate::standard;
use crate::sys;

/// Passes a source to `take`, opened, with its size if that is known. Fails if a file changed meanwhile.
pub fn read<T>(source: &Place, take: impl FnOnce(&File, Option<u64>) -> Result<T, Failure>) -> Result<T, Failure> {
    match source {
        Place::Standard => {
            let input = standard::input()?;
            let len = input.metadata().ok().filter(Metadata::is_file).map(|status| status.len());
            take(&input, len)
        }
        Place::File(path) => read_file(path, take),
    }
}

fn read_file<T>(path: &Path, take: impl FnOnce(&File, Option<u64>) -> Result<T, Failure>) -> Result<T, Failure> {
    let shown = path.display();
    let unreadable = |error| Failure::new(format_args!("cannot read {shown}: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let before = file.metadata().map_err(unreadable)?;
    if before.is_dir() {
        return Err(Failure::new(format_args!("cannot read {shown}: it is a directory")));
    }
    let taken = take(&file, before.is_file().then_some(before.len()))?;
    let after = file.metadata().map_err(unreadable)?;
    if before.is_file() && sys::stamp(&before) != sys::stamp(&after) {
        return Err(Failure::new(format_args!("{shown} changed while it was read")));
    }
    Ok(taken)
}
