//! Starts programs that inherit regions.
//!
//! [`Command`], [`Child`] and [`Stdio`] mirror the types of those names in [`std::process`]. The crate's root re-exports them.

mod child;
mod command;
mod stdio;

pub use child::Child;
pub use command::Command;
pub use stdio::Stdio;
