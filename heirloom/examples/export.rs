//! Exports a region as a string. The parent passes the string to a worker that the standard library starts, and the
//! worker imports it.
//!
//!     cargo run --example export

use std::env;
use std::error::Error;
use std::process::Command;

use heirloom::Region;

fn main() -> Result<(), Box<dyn Error>> {
    match env::var("MESSAGE") {
        Ok(string) => worker(&string),
        Err(_) => parent(),
    }
}

fn parent() -> Result<(), Box<dyn Error>> {
    let message = Region::create(4096)?;
    let exported = message.export_inheritable()?;
    let status = Command::new(env::current_exe()?).env("MESSAGE", exported.as_str()).status()?;
    // Children started from here on do not inherit the region.
    drop(exported);
    assert!(status.success());

    let mut text = [0; 5];
    message.map()?.read_at(0, &mut text)?;
    println!("the worker wrote: {}", String::from_utf8_lossy(&text));
    Ok(())
}

fn worker(string: &str) -> Result<(), Box<dyn Error>> {
    Region::import(string)?.map()?.write_at(0, b"hello")?;
    Ok(())
}
