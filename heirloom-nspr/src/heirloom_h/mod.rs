//! The functions of `heirloom.h`, which documents them: this library's interface for C programs that don't use NSPR.
//!
//! An object for C is a `Box` of the Rust one. NULL is an error; any other invalid pointer is the caller's fault.

#![allow(unsafe_code)]

mod arguments;
mod channel;
mod command;
mod error;
mod export;
mod lock;
mod mapping;
mod number;
mod region;
mod wait;

/// The version of the interface: it grows with each addition.
const ABI_VERSION: u32 = 1;

/// Returns the version of this library's interface.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_abi_version() -> u32 {
    ABI_VERSION
}
