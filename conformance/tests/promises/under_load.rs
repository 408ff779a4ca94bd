//! All at once: many regions and many children, and next to nothing left. Errors are clear, and all recovers.

use std::io::{Read, Write};

use heirloom::{Command, ErrorKind, Region, Stdio};
use heirloom_conformance::{descriptors, emulated};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;

#[test]
fn a_thousand_regions_and_two_hundred_children_at_once() {
    const REGIONS: usize = 1000;
    const CHILDREN: usize = 200;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let before = descriptors();
    let regions: Vec<_> = (0..REGIONS).map(|_| Region::create(64 << 10).unwrap()).collect();
    let mut children: Vec<_> = (0..CHILDREN)
        .map(|number| {
            let mut command = child(&["answer"]);
            // Each has five of its own.
            for (index, region) in regions[number * 5..number * 5 + 5].iter().enumerate() {
                command.inherit(&format!("region {index}"), region).unwrap();
            }
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // All of them live now.
    for (number, child) in children.iter_mut().enumerate() {
        child.stdin.as_mut().unwrap().write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    for child in &mut children {
        let mut told = String::new();
        drop(child.stdin.take());
        child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(told, "5\n");
        assert!(child.wait().unwrap().success());
    }
    for (index, region) in regions.iter().enumerate() {
        let written = region.map().unwrap().atomic_u64(0).unwrap().load();
        assert_eq!(written, (index / 5) as u64 + 1);
    }
    drop(regions);
    drop(children);
    assert_eq!(descriptors(), before);
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn the_last_descriptors_are_used_and_given_back() {
    let limit = getrlimit(Resource::Nofile);
    let few = descriptors().keys().max().unwrap() + 20;
    setrlimit(Resource::Nofile, Rlimit { current: Some(few.unsigned_abs().into()), ..limit }).unwrap();
    for _ in 0..20 {
        let mut regions = Vec::new();
        let error = loop {
            match Region::create(4096) {
                Ok(region) => regions.push(region),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::OutOfDescriptors);
        assert!(!regions.is_empty());
        // What is there still works, down to handing it down.
        let mut command = Command::new("true");
        command.inherit("a", &regions[0]).unwrap();
        if cfg!(target_env = "musl") || emulated() {
            // musl's posix_spawn needs a pipe, and so does a fork where posix_spawn doesn't tell what failed.
            regions.truncate(regions.len() - 2);
        }
        assert!(command.status().unwrap().success());
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    Region::create(4096).unwrap();
}
