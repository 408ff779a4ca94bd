//! Freezes tables, and reads them in place.

mod damaged;
mod errors;
#[cfg(target_os = "linux")]
mod in_place;
mod samples;
