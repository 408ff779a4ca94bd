//! The options that only Linux has.

use std::str::FromStr;

use clap::Args;
use heirloom::os::linux::FrozenOptionsExt;
use heirloom::{FrozenOptions, FrozenRegion};

use crate::assignment::{Assignment, Place, place};
use crate::size::Size;

/// Options of regions.
#[derive(Args)]
pub struct RegionOptions {
    /// Create a region whose bytes no other process can read, filled as by --frozen; {NAME} is a descriptor to map.
    #[arg(long, value_name = "NAME=FILE|-", value_parser = place())]
    pub secret: Vec<Assignment<Place>>,
    /// Permissions of a region's path, in octal. A program that runs as another user needs more than the default.
    #[arg(long, value_name = "OCTAL", default_value = "600")]
    pub mode: Mode,
    /// Fill frozen regions by pages of 2 MiB where the kernel has free ones, so that first reads take less time.
    #[arg(long)]
    pub huge_pages: bool,
}

/// Returns the secret regions that are wanted.
pub fn secrets(options: &RegionOptions) -> &[Assignment<Place>] {
    &options.secret
}

/// Returns how frozen regions are filled.
pub fn frozen_options(options: &RegionOptions) -> FrozenOptions {
    FrozenRegion::options().use_huge_pages(options.huge_pages).clone()
}

/// Options of `run`.
#[derive(Args)]
pub struct RunOptions {
    /// Kill the workers if heirloom itself is killed.
    #[arg(long)]
    pub kill_on_exit: bool,
    /// Run a worker for each block of standard input: as many lines as SIZE holds, or one longer line; --jobs at a time.
    #[arg(long, value_name = "SIZE", value_parser = block_size)]
    pub split: Option<usize>,
    /// Write what a worker prints as soon as it ends; otherwise it waits for the blocks before.
    #[arg(long, requires = "split")]
    pub unordered: bool,
}

/// Options of `exec`.
#[derive(Args)]
pub struct ExecOptions {
    /// Kill the program if its parent, which has this process id, ends: what `run --kill-on-exit` passes to its workers.
    #[arg(long, value_name = "PID", hide = true)]
    pub end_with: Option<i32>,
}

/// Permissions of a file, without those to execute it.
#[derive(Clone, Copy)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(mode: &str) -> Result<Self, String> {
        match u32::from_str_radix(mode, 8) {
            Ok(bits) if bits & !0o666 == 0 => Ok(Self(bits)),
            _ => Err("expected three octal digits, each 0, 2, 4 or 6".to_owned()),
        }
    }
}

fn block_size(size: &str) -> Result<usize, String> {
    match size.parse()? {
        Size(0) => Err("expected at least 1".to_owned()),
        // No block reaches a size beyond the address space.
        Size(bytes) => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}
