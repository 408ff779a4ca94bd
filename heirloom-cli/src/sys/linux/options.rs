//! The options that only Linux has.

use std::str::FromStr;

use clap::Args;

/// Options of regions.
#[derive(Args)]
pub struct RegionOptions {
    /// Permissions of a region's path, in octal. A program that runs as another user needs more than the default.
    #[arg(long, value_name = "OCTAL", default_value = "600")]
    pub mode: Mode,
}

/// Options of `run`.
#[derive(Args)]
pub struct RunOptions {
    /// Kill the workers if heirloom itself is killed.
    #[arg(long)]
    pub kill_on_exit: bool,
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
