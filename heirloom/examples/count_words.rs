//! Counts the words of a file in parallel. Each of four workers counts in one part of a frozen region, and adds its
//! count to a shared one.
//!
//!     cargo run --example count_words -- README.md

use std::env;
use std::error::Error;
use std::fs::File;

use heirloom::{Command, FrozenRegion, Region};

const WORKERS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    heirloom::claim()?;
    let args: Vec<_> = env::args().skip(1).collect();
    match &args[..] {
        [worker, number] if worker == "worker" => count(number.parse()?),
        [file] => parent(file),
        _ => Err("usage: count_words FILE".into()),
    }
}

fn parent(file: &str) -> Result<(), Box<dyn Error>> {
    let text = FrozenRegion::from_file(&File::open(file)?)?;
    let total = Region::create(8)?;
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let mut command = Command::new(env::current_exe()?);
        command.arg("worker").arg(number.to_string()).inherit("text", &text)?.inherit("total", &total)?;
        workers.push(command.spawn()?);
    }
    for mut worker in workers {
        if !worker.wait()?.success() {
            return Err("a worker failed".into());
        }
    }
    println!("{} words", total.map()?.load_u64(0)?);
    Ok(())
}

/// Counts the words that begin in the worker's part.
fn count(number: usize) -> Result<(), Box<dyn Error>> {
    let text = FrozenRegion::inherited("text")?.map()?;
    let total = Region::inherited("total")?.map()?;
    let part = text.len() * number / WORKERS..text.len() * (number + 1) / WORKERS;
    let begins = |at: &usize| !text[*at].is_ascii_whitespace() && (*at == 0 || text[at - 1].is_ascii_whitespace());
    total.atomic_u64(0)?.fetch_add(part.filter(begins).count() as u64);
    Ok(())
}
