//! Compares heirloom with direct system calls and similar libraries. `bench/run` builds and runs it.

mod benches;
mod page;
mod peer;
mod plot;
mod table;
mod worker;

use std::collections::HashMap;

use heirloom_bench::{candidates, measure};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["parent", ballast] => parent(ballast.parse().unwrap()),
        ["arrow-worker", how, part, parts, path] => {
            benches::arrow::work(how, part.parse().unwrap(), parts.parse().unwrap(), path);
        }
        ref selected => page::generate(selected),
    }
}

/// Runs a worker that uses `ballast` bytes and starts a child for each candidate key that it reads.
fn parent(ballast: usize) {
    let ballast = vec![1_u8; ballast];
    let mut parents = HashMap::new();
    for key in std::io::stdin().lines() {
        let key = key.unwrap();
        let create = || candidates::by_key(&key).parent.expect("the candidate can start children")(1 << 20);
        let parent = parents.entry(key.clone()).or_insert_with(create);
        println!("{}", measure::time(1, || (parent.start)()()));
    }
    assert!(ballast.iter().take(1).all(|byte| *byte == 1));
}
