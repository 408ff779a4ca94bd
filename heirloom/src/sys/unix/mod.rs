//! What all Unix systems have in common, except for spawning.

pub(crate) mod errno;
pub(crate) mod fd;
pub(crate) mod process;
pub(crate) mod view;
