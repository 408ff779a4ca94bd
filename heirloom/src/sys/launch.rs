//! The input of a spawn.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::platform::{Borrowed, EnvKey, Owned, SpawnOptions};

/// Everything that is needed to start a program.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a OsStr,
    /// The arguments, starting with the program's own name.
    pub(crate) args: &'a [OsString],
    /// The whole environment of the program.
    pub(crate) environment: &'a [(EnvKey, OsString)],
    pub(crate) directory: Option<&'a Path>,
    #[allow(dead_code)] // Windows has none.
    pub(crate) options: &'a SpawnOptions,
    /// Standard input, output and error of the program; `None` inherits this process's own.
    pub(crate) standard: [Option<&'a Owned>; 3],
    /// The descriptors that the program inherits, with unchanged numbers.
    pub(crate) pass: &'a [Borrowed<'a>],
}
