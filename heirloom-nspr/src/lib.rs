//! NSPR's anonymous shared memory, complete: a C library with the names of the Netscape Portable Runtime.
//!
//! C programs read `include/heirloom_nspr.h` and `docs/nspr.md`. This page is for who works on the library itself.
//!
//! Every function that C sees is one call of `error::answer` around a body that returns a `Result`: it puts the error
//! where `PR_GetError` finds it, and lets no panic out. Only `PR_KillProcess`, which may be called from a signal handler,
//! goes another way.

mod attributes;
mod error;
mod file_map;
mod handing_down;
mod handles;
mod nspr;
mod process;
mod processes;
mod reserved;
mod sys;
mod types;
