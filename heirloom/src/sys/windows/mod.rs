//! Windows: memory from sections of the paging file. A handle can't be turned into one with more rights.

pub(crate) mod doorbell;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod host;
pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod view;
pub(crate) mod wide;
