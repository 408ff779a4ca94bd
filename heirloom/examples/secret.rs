//! A secret for one child: never in an argument, in the environment, on a disk or in a core dump, and closed to other
//! processes of the same user.
//!
//!     cargo run --example secret

use std::env;
use std::error::Error;

use heirloom::{Command, ErrorKind, FrozenRegion};

fn main() -> Result<(), Box<dyn Error>> {
    heirloom::claim()?;
    // After every exec again: it is each holder's own door.
    #[cfg(target_os = "linux")]
    heirloom::os::linux::set_undumpable()?;
    match env::args().nth(1).as_deref() {
        Some("child") => child(),
        _ => parent(),
    }
}

fn parent() -> Result<(), Box<dyn Error>> {
    // In earnest it would come from a key store, by `from_reader`.
    let key = FrozenRegion::options().name("key").from_bytes("correct horse battery staple")?;
    let status = Command::new(env::current_exe()?).arg("child").inherit("key", &key)?.status()?;
    assert!(status.success());
    Ok(())
}

fn child() -> Result<(), Box<dyn Error>> {
    let key = FrozenRegion::inherited("key")?.map()?;
    match key.no_dump() {
        // Where a system can't, forbid it dumps altogether.
        Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("{error}"),
        answer => answer?,
    }
    println!("the child has a key of {} bytes", key.len());
    Ok(())
}
