//! Anonymous shared memory that child processes inherit.
#![warn(missing_docs)]

mod access;
mod child;
mod command;
mod error;
mod export;
mod fill;
mod frozen;
mod handing_down;
mod handle;
mod heirloom;
mod inheritance;
mod kind;
mod mapping;
mod name;
mod object;
mod options;
pub mod os;
mod read_only;
mod region;
mod stdio;
mod sys;
mod variable;

pub use access::{ReadOnlyBytes, SharedBytes, SharedU32, SharedU64};
pub use child::Child;
pub use command::Command;
pub use error::{Error, ErrorKind, Refused, Result};
pub use export::Export;
pub use frozen::{FrozenOptions, FrozenRegion};
pub use handing_down::CommandExt;
pub use heirloom::Heirloom;
pub use inheritance::{Inherited, claim, inherited};
pub use kind::Kind;
pub use mapping::{CopyMapping, FrozenCopyMapping, FrozenMapping, Mapping, ReadOnlyMapping};
pub use options::RegionOptions;
pub use read_only::ReadOnlyRegion;
pub use region::Region;
pub use stdio::Stdio;
