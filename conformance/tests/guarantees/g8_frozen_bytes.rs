//! G8, frozen bytes never change, so a safe `&[u8]` over them is sound. Only a sealed region becomes a `FrozenRegion`.

use heirloom::{ErrorKind, FrozenRegion, Region};

use crate::{child, output};

#[test]
fn g8_freeze_fails_while_a_writable_mapping_exists() {
    let region = Region::create(4096).unwrap();
    let view = region.map().unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::StillWritable);
    assert_eq!(refused.error().raw_os_error(), Some(libc::EBUSY));
    drop(view);

    // A mapping in another process blocks freezing too.
    let region = refused.into_inner();
    let mut holder = child(&["hold", "a"]);
    holder.stdin(heirloom::Stdio::piped()).stdout(heirloom::Stdio::piped()).inherit("a", &region).unwrap();
    let mut holder = holder.spawn().unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut held).unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::StillWritable);
    let region = refused.into_inner();
    let copy = FrozenRegion::copy_of(&region).unwrap();
    assert_eq!(*copy.map().unwrap(), [0; 4096]);
    holder.wait().unwrap();
    assert_eq!(region.freeze().unwrap().size(), 4096);
}

#[test]
fn g8_freeze_fails_while_a_page_is_pinned() {
    let region = Region::create(4096).unwrap();
    region.map().unwrap().write_at(0, &[1; 4096]).unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let flags = rustix::pipe::SpliceFlags::empty();
    rustix::pipe::splice(&region, Some(&mut 0), &writer, None, 4096, flags).unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::StillWritable);
    drop((reader, writer));
    assert!(refused.into_inner().freeze().is_ok());
}

#[test]
fn g8_only_frozen_regions_are_inherited_as_frozen() {
    let writable = Region::create(4096).unwrap();
    let (read_only, _writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let frozen = FrozenRegion::from_bytes("x").unwrap();
    let mut command = child(&["take", "frozen:writable", "frozen:read-only", "frozen:frozen"]);
    command.inherit("writable", &writable).unwrap().inherit("read-only", &read_only).unwrap();
    let report = output(command.inherit("frozen", &frozen).unwrap());
    let report: Vec<_> = report.lines().collect();
    assert!(report[0].starts_with("WrongKind: ") && report[1].starts_with("WrongKind: "), "{report:?}");
    assert_eq!(report[2], "ok 1");
}

#[test]
fn g8_child_checks_seals_despite_a_lying_parent() {
    // The parent claims that a region is frozen, and keeps it writable.
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    let lie = exported.as_str().replace(":1:1:writable:", ":0:1:frozen:");
    let mut command = std::process::Command::new(crate::CHILD);
    command.args(["take", "frozen:a"]);
    heirloom::os::unix::InheritExt::inherit(&mut command, "truth", &region).unwrap();
    let number = exported.as_str().split(':').next().unwrap();
    let given = command.get_envs().find_map(|(_, value)| value?.to_str()?.strip_prefix("truth=").map(str::to_owned));
    let given_number = given.unwrap().split(':').next().unwrap().to_owned();
    command.env("HEIRLOOM_REGIONS", format!("a={}", lie.replacen(number, &given_number, 1)));
    let report = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(report.starts_with("Mismatch: ") && report.contains("the seal against writing is missing"), "{report}");
}

#[test]
fn g8_private_copy_does_not_change_frozen_bytes() {
    let region = FrozenRegion::from_bytes([1; 9000]).unwrap();
    let mut mine = region.map_copy().unwrap();
    mine.fill(2);
    assert!(region.map().unwrap().iter().all(|byte| *byte == 1));
    assert!(region.map_copy().unwrap().iter().all(|byte| *byte == 1));
}

#[test]
fn g8_truncation_through_proc_fails_the_fill() {
    // Before the memory is sealed, another process can find it in /proc. This reader truncates it between two reads.
    struct Truncates(u8);
    impl std::io::Read for Truncates {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 == 3 {
                for (number, _) in heirloom_conformance::open_regions() {
                    let path = format!("/proc/self/fd/{number}");
                    if std::fs::read_link(&path)?.to_str().is_some_and(|link| link.contains("heirloom/truncated")) {
                        std::fs::File::options().write(true).open(path)?.set_len(10)?;
                    }
                }
                return Ok(0);
            }
            into.fill(1);
            Ok(into.len())
        }
    }
    let error = FrozenRegion::options().name("truncated").from_reader(Truncates(0)).unwrap_err();
    assert!(error.to_string().contains("another process changed its size"), "{error}");
    // The control: not truncated.
    assert_eq!(FrozenRegion::options().name("whole").from_reader(Truncates(1)).unwrap().size() % 10, 2);
}
