//! The sub-commands for Windows.

use std::env;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};

use heirloom::{Error, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::{hostile, is_inheritable, open_regions};

pub(super) fn run(args: &[&str]) {
    match args {
        ["hostile", name] => try_all(name),
        ["write-handle-of", process, inode] => {
            let written = hostile::write_through_handle_of(process.parse().unwrap(), inode.parse().unwrap());
            println!("{}", written.map_or_else(|error| format!("{:?}", error.kind()), |()| "written".to_owned()));
        }
        ["claim-then-flags"] => {
            let _ = heirloom::claim();
            for number in open_regions().keys() {
                println!("{number} {}", is_inheritable(*number));
            }
        }
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

/// Prints the result of each attempt and of its control, on a region that is inherited by name or imported from a
/// variable.
fn try_all(name: &str) {
    // If a variable has this name, its value is an export string.
    let string = env::var(name).ok();
    let string = string.as_deref();
    let by_kind: [&dyn Fn() -> Result<OwnedHandle, Error>; 3] = [
        &|| string.map_or_else(|| FrozenRegion::inherited(name), FrozenRegion::import)?.try_into(),
        &|| string.map_or_else(|| ReadOnlyRegion::inherited(name), ReadOnlyRegion::import)?.try_into(),
        &|| string.map_or_else(|| Region::inherited(name), Region::import)?.try_into(),
    ];
    let handle = by_kind.iter().find_map(|open| open().ok()).unwrap();
    let code = |answer: io::Result<()>| match answer {
        Ok(()) => hostile::DONE,
        Err(error) => error.raw_os_error().unwrap_or(i32::MAX),
    };
    for attempt in hostile::ATTEMPTS {
        let control = code((attempt.act)(hostile::control().unwrap().as_raw_handle()));
        println!("{}\t{}\t{control}", attempt.name, code((attempt.act)(handle.as_raw_handle())));
    }
}
