//! Shares a price and its volume with many readers by a sequence lock. The pair that a reader gets is always
//! consistent, and a reader sleeps until there is a new one.
//!
//!     cargo run --example sequence_lock
//!
//! The lock is a number that is odd while the writer changes the pair. A reader copies the pair, and uses it only if
//! the number was even before the copy and is the same after it. Copies have no memory ordering, so fences order them.

use std::env;
use std::error::Error;
use std::sync::atomic::{Ordering, fence};
use std::thread;

use heirloom::{Command, ErrorKind, Mapping, ReadOnlyMapping, ReadOnlyRegion, Region};

/// Offsets in the region, in bytes.
const SEQUENCE: usize = 0;
const PAIR: usize = 8;

const READERS: usize = 3;
const ROUNDS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    heirloom::claim()?;
    match env::args().nth(1).as_deref() {
        Some("reader") => reader(),
        _ => writer(),
    }
}

fn writer() -> Result<(), Box<dyn Error>> {
    // Made read-only before any child inherits it, so this mapping stays the only writer.
    let (prices, writer) = Region::create(4096)?.into_read_only()?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut command = Command::new(env::current_exe()?);
        readers.push(command.arg("reader").inherit("prices", &prices)?.spawn()?);
    }
    for round in 1..=ROUNDS {
        write(&writer, [round, round * 10])?;
    }
    for mut reader in readers {
        if !reader.wait()?.success() {
            return Err("a reader failed".into());
        }
    }
    println!("{READERS} readers saw only consistent pairs");
    Ok(())
}

fn write(view: &Mapping, [price, volume]: [u64; 2]) -> heirloom::Result<()> {
    let sequence = view.atomic_u32(SEQUENCE)?;
    let before = sequence.load();
    sequence.store(before + 1);
    // Orders the odd number before the pair.
    fence(Ordering::Release);
    let mut pair = [0; 16];
    pair[..8].copy_from_slice(&price.to_ne_bytes());
    pair[8..].copy_from_slice(&volume.to_ne_bytes());
    view.write_at(PAIR, &pair)?;
    // A store has release ordering, so the even number comes after the pair.
    sequence.store(before + 2);
    view.wake_all(SEQUENCE).or_else(unsupported)
}

/// Waits until there is another pair than the one of the number `last`.
fn wait(view: &ReadOnlyMapping, last: u32) -> heirloom::Result<()> {
    view.wait(SEQUENCE, last).map(drop).or_else(unsupported)
}

/// Gives way to other processes where the system has no waits for a number, Windows for example.
fn unsupported(error: heirloom::Error) -> heirloom::Result<()> {
    if error.kind() != ErrorKind::Unsupported {
        return Err(error);
    }
    thread::yield_now();
    Ok(())
}

/// Returns a pair and its number.
fn read(view: &ReadOnlyMapping) -> heirloom::Result<([u64; 2], u32)> {
    loop {
        // A load has acquire ordering, so the copy comes after it.
        let before = view.load_u32(SEQUENCE)?;
        let (mut price, mut volume) = ([0; 8], [0; 8]);
        view.read_at(PAIR, &mut price)?;
        view.read_at(PAIR + 8, &mut volume)?;
        // Orders the copy before the second load.
        fence(Ordering::Acquire);
        if before % 2 == 0 && view.load_u32(SEQUENCE)? == before {
            return Ok(([u64::from_ne_bytes(price), u64::from_ne_bytes(volume)], before));
        }
    }
}

fn reader() -> Result<(), Box<dyn Error>> {
    let view = ReadOnlyRegion::inherited("prices")?.map()?;
    loop {
        let ([price, volume], number) = read(&view)?;
        if volume != price * 10 {
            return Err(format!("{price} and {volume} are inconsistent").into());
        }
        if price == ROUNDS {
            return Ok(());
        }
        wait(&view, number)?;
    }
}
