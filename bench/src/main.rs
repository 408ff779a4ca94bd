//! heirloom beside the bare system calls and its peers: `bench/run`.

mod chapters;
mod page;
mod plot;
mod sheet;
mod worker;

use std::collections::HashMap;

use heirloom_bench::{measure, ways};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["parent", ballast] => parent(ballast.parse().unwrap()),
        ref wanted => page::make(wanted),
    }
}

/// A process that uses that many bytes, and starts a child in the way it is told.
fn parent(ballast: usize) {
    let ballast = vec![1_u8; ballast];
    let mut parents = HashMap::new();
    for key in std::io::stdin().lines() {
        let key = key.unwrap();
        let make = || ways::way(&key).parent.expect("parents of that way")(1 << 20);
        let parent = parents.entry(key.clone()).or_insert_with(make);
        println!("{}", measure::time(1, || (parent.start)()()));
    }
    assert!(ballast.iter().take(1).all(|byte| *byte == 1));
}
