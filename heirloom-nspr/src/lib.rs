//! A C library: anonymous shared memory with the function names of the Netscape Portable Runtime (NSPR), and with its own.
//!
//! C programs use `include/heirloom_nspr.h` and `docs/nspr.md`, or `include/heirloom.h`, whose functions are in `heirloom_h`. This
//! page is for maintainers.
//!
//! Every exported function wraps its body in `error::call`. It stores the error of a failed body for `PR_GetError`, and
//! catches panics. Only `PR_KillProcess`, which a signal handler may call, does without.
//!
//! The modules are listed from the bottom up: each one uses only modules above it.

mod code;
mod types;

mod sys;

mod fork;
mod nspr;
mod reserved;

mod error;
mod process_table;

mod handles;
mod strings;

mod region;

mod file_map;

mod attributes;
mod transfer;

mod process;

mod heirloom_h;
