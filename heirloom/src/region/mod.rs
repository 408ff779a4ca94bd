//! Regions: the handles of each kind, how they are made, and the state behind them.

mod any;
mod as_region;
mod common;
mod fill;
mod frozen;
mod frozen_writer;
mod inner;
mod kind;
mod name;
mod options;
mod read_only;
mod size;
mod writable;

pub use any::AnyRegion;
pub use as_region::AsRegion;
#[allow(unused_imports)] // Only `os` uses it.
pub(crate) use as_region::Sealed;
pub use frozen::{FrozenOptions, FrozenRegion};
pub use frozen_writer::FrozenWriter;
pub(crate) use inner::{RegionInner, kind_of, validate};
pub use kind::RegionKind;
pub(crate) use name::check_name;
pub use options::RegionOptions;
pub use read_only::ReadOnlyRegion;
#[allow(unused_imports)] // As above.
pub(crate) use size::check_size;
pub use writable::Region;
