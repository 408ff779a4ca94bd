//! Many regions and children at once, and exhausted descriptors: each call fails with a clear error, and later calls
//! succeed again.

use std::io::{Read, Write};

use heirloom::{Command, ErrorKind, Region, Stdio};
use heirloom_conformance::{descriptors, emulated};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;

#[test]
fn thousand_regions_and_two_hundred_children() {
    const REGIONS: usize = 1000;
    const CHILDREN: usize = 200;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let before = descriptors();
    let regions: Vec<_> = (0..REGIONS).map(|_| Region::create(64 << 10).unwrap()).collect();
    let mut children: Vec<_> = (0..CHILDREN)
        .map(|number| {
            let mut command = child(&["add-one-to-all"]);
            // Five regions for each child.
            for (index, region) in regions[number * 5..number * 5 + 5].iter().enumerate() {
                command.inherit(&format!("region {index}"), region).unwrap();
            }
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // All children are running now.
    for (number, child) in children.iter_mut().enumerate() {
        child.stdin.as_mut().unwrap().write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    for child in &mut children {
        let mut report = String::new();
        drop(child.stdin.take());
        child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        assert_eq!(report, "5\n");
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
fn recovers_after_running_out_of_descriptors() {
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
        // Existing regions still work, and a child can inherit them.
        let mut command = Command::new("true");
        command.inherit("a", &regions[0]).unwrap();
        if cfg!(target_env = "musl") || emulated() {
            // musl's posix_spawn needs a pipe. So does the fallback to fork, used where posix_spawn reports no error.
            regions.truncate(regions.len() - 2);
        }
        assert!(command.status().unwrap().success());
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    Region::create(4096).unwrap();
}
