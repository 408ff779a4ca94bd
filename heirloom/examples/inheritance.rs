//! Inherits a region by name. The parent names a region on the command that it starts, and the worker opens it by that
//! name.
//!
//!     cargo run --example inheritance

use std::env;

use heirloom::{Command, Region, Result};

fn main() -> Result<()> {
    heirloom::claim()?;
    match env::args().nth(1).as_deref() {
        Some("worker") => worker(),
        _ => parent(),
    }
}

fn parent() -> Result<()> {
    let numbers = Region::create(4096)?;
    let view = numbers.map()?;
    view.atomic_u64(0)?.store(20);

    let own_path = env::current_exe().unwrap_or_default();
    let mut worker = Command::new(own_path).arg("worker").inherit("numbers", &numbers)?.spawn()?;
    worker.wait()?;

    println!("the worker added 22 to 20: {}", view.load_u64(0)?);
    Ok(())
}

fn worker() -> Result<()> {
    let view = Region::inherited("numbers")?.map()?;
    view.atomic_u64(0)?.fetch_add(22);
    Ok(())
}
