//! Passes a secret to one child. The key is in no argument and no environment variable, and Linux leaves it out of core
//! dumps. Other processes of the same user can't read it once both processes are undumpable; SECURITY.md describes the time
//! before.
//!
//!     cargo run --example secret

use std::env;
use std::error::Error;

use heirloom::{Command, ErrorKind, FrozenRegion};

fn main() -> Result<(), Box<dyn Error>> {
    heirloom::claim()?;
    // Each process calls this after its start, because an exec resets it.
    #[cfg(target_os = "linux")]
    heirloom::os::linux::set_undumpable()?;
    match env::args().nth(1).as_deref() {
        Some("child") => child(),
        _ => parent(),
    }
}

fn parent() -> Result<(), Box<dyn Error>> {
    // A real program would read the key from a key store, by `from_reader`.
    let key = FrozenRegion::options().name("key").from_bytes("correct horse battery staple")?;
    let status = Command::new(env::current_exe()?).arg("child").inherit("key", &key)?.status()?;
    assert!(status.success());
    Ok(())
}

fn child() -> Result<(), Box<dyn Error>> {
    let key = FrozenRegion::inherited("key")?.map()?;
    match key.no_dump() {
        // Where the system does not support it, disable core dumps altogether.
        Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("{error}"),
        result => result?,
    }
    println!("the child received a key of {} bytes", key.len());
    Ok(())
}
