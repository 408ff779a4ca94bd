#![doc = include_str!("../README.md")]

mod check;
mod error;
mod freeze;
mod table;

pub use error::{Error, Result};
pub use freeze::{freeze, freeze_with};
pub use table::Table;
