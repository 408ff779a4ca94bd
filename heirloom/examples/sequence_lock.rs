//! One process tells many: a price and its volume, always a pair that belongs together, by a sequence lock.
//!
//!     cargo run --example into_read_only
//!
//! The lock is a number that is odd while the publisher writes. A reader copies the pair out and takes it only if the number
//! was even before, and is the same after. Copies order nothing by themselves, hence the fences.

use std::env;
use std::error::Error;
use std::sync::atomic::{Ordering, fence};

use heirloom::{Command, Mapping, ReadOnlyMapping, ReadOnlyRegion, Region};

/// Where they lie in the region, in bytes.
const SEQUENCE: usize = 0;
const PAIR: usize = 8;

const READERS: usize = 3;
const ROUNDS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    heirloom::claim()?;
    match env::args().nth(1).as_deref() {
        Some("reader") => reader(),
        _ => publisher(),
    }
}

fn publisher() -> Result<(), Box<dyn Error>> {
    // Published before it is handed down: this mapping is the only writer there will ever be.
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
    println!("{READERS} readers saw only pairs that belong together");
    Ok(())
}

fn write(view: &Mapping, [price, volume]: [u64; 2]) -> heirloom::Result<()> {
    let sequence = view.atomic_u64(SEQUENCE)?;
    let before = sequence.load();
    sequence.store(before + 1);
    // The odd number comes before the pair ...
    fence(Ordering::Release);
    let mut pair = [0; 16];
    pair[..8].copy_from_slice(&price.to_ne_bytes());
    pair[8..].copy_from_slice(&volume.to_ne_bytes());
    view.write_at(PAIR, &pair)?;
    // ... and the even one behind it: a store releases.
    sequence.store(before + 2);
    Ok(())
}

fn read(view: &ReadOnlyMapping) -> heirloom::Result<[u64; 2]> {
    loop {
        // A load acquires: the copy comes behind it.
        let before = view.load_u64(SEQUENCE)?;
        let (mut price, mut volume) = ([0; 8], [0; 8]);
        view.read_at(PAIR, &mut price)?;
        view.read_at(PAIR + 8, &mut volume)?;
        // The copy comes before the second look.
        fence(Ordering::Acquire);
        if before % 2 == 0 && view.load_u64(SEQUENCE)? == before {
            return Ok([u64::from_ne_bytes(price), u64::from_ne_bytes(volume)]);
        }
    }
}

fn reader() -> Result<(), Box<dyn Error>> {
    let view = ReadOnlyRegion::inherited("prices")?.map()?;
    loop {
        let [price, volume] = read(&view)?;
        if volume != price * 10 {
            return Err(format!("{price} and {volume} don't belong together").into());
        }
        if price == ROUNDS {
            return Ok(());
        }
    }
}
