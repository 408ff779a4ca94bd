//! The guarantees of `SECURITY.md`. Each test name starts with the number of its guarantee.

#![cfg(target_os = "linux")]

mod g10_no_silent_downgrade;
mod g11_bounded_waits;
mod g12_channel_ends;
mod g12_on_linux;
mod g13_lying_peers;
mod g14_locks;
mod g15_confined_children;
mod g16_secret_memory;
mod g1_no_name;
mod g2_only_named_children;
mod g3_irreversible_read_only;
mod g4_fixed_size;
mod g5_not_executable;
mod g6_validated_import;
mod g7_freed_with_last_holder;
mod g8_frozen_bytes;
mod g9_failed_calls;
mod hostile_child;
mod under_load;

use std::path::Path;
use std::sync::OnceLock;

use heirloom::Command;
use heirloom_conformance::{output, skip};

/// The path of the `child` program.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// Builds the C library once and returns its path. Returns `None`, and reports the skip, where it cannot be loaded.
fn c_library() -> Option<&'static str> {
    static BUILT: OnceLock<String> = OnceLock::new();
    if cfg!(target_feature = "crt-static") {
        skip("the C library: a statically linked program cannot load a library");
        return None;
    }
    Some(BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        heirloom_conformance::build_c_library(target).to_str().unwrap().to_owned()
    }))
}

/// A command for the `child` program with arguments.
fn child(args: &[&str]) -> Command {
    let mut command = Command::new(CHILD);
    command.args(args);
    command
}
