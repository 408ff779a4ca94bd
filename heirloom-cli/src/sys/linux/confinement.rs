//! Keeping programs from the memory of other processes, and from the user's files.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use heirloom::os::linux::CommandExt;
use heirloom::{Command, ErrorKind};

use crate::failure::Failure;

/// What programs can't do.
#[derive(Args)]
pub struct ConfinementOptions {
    /// Keep each program apart: no other process of the user, heirloom included, can be traced, read or signalled by it.
    #[arg(long)]
    pub confine: bool,
    /// Seal each program off: as --confine, and it has no file and no socket, but reads what is beneath PATH. Can be repeated.
    #[arg(long, value_name = "PATH")]
    pub confine_to: Vec<PathBuf>,
}

/// Confines the programs that a command starts.
pub fn confine(command: &mut Command, options: &ConfinementOptions) -> Result<(), Failure> {
    // The second does all that the first does.
    let confined = if !options.confine_to.is_empty() {
        command.confine_to(&options.confine_to)
    } else if options.confine {
        command.confine()
    } else {
        return Ok(());
    };
    confined.map(drop).map_err(|error| match error.kind() {
        ErrorKind::Unsupported => Failure::new(format_args!("{}; {NEEDED}", error.message())),
        _ => error.into(),
    })
}

const NEEDED: &str = "--confine needs Landlock (Linux 5.13 or later, turned on by the kernel's parameter lsm=), and --confine-to \
                      also seccomp, on x86-64, aarch64 or riscv64; a sandbox may forbid both";

impl ConfinementOptions {
    /// Returns the words of these options.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<_> = self.confine.then(|| "--confine".into()).into_iter().collect();
        words.extend(self.confine_to.iter().flat_map(|path| ["--confine-to".into(), path.into()]));
        words
    }
}
