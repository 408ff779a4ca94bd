//! The string of a channel's end, specified in `docs/format.md`.

use std::fmt;

use super::export_string::{ExportString, natural};
use crate::channel::{EndParts, Role};
use crate::region::RegionKind;
use crate::sys::{self, Failure, Identity};

/// A parsed string of a channel's end: that of its memory, with another kind, and its two pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndString {
    pub(crate) role: Role,
    /// The memory, which is a writable region.
    pub(crate) memory: ExportString,
    pub(crate) hears: NamedPipe,
    pub(crate) rings: NamedPipe,
}

/// A pipe that a string names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamedPipe {
    pub(crate) number: i32,
    pub(crate) identity: Identity,
    /// Whether it rings at the peer, or hears it.
    pub(crate) rings: bool,
}

impl EndString {
    pub(crate) fn new(parts: &EndParts) -> Result<Self, Failure> {
        let memory = ExportString::new(&parts.memory.memory, &parts.memory, RegionKind::Writable)?;
        let [hears, rings] = parts.doorbell.descriptors();
        let pipe = |descriptor, rings| {
            let identity = sys::identity(descriptor)?;
            Ok::<_, Failure>(NamedPipe { number: sys::number_of(descriptor), identity, rings })
        };
        Ok(Self { role: parts.role, memory, hears: pipe(hears, false)?, rings: pipe(rings, true)? })
    }

    pub(crate) fn parse(string: &str) -> Option<Self> {
        let words: Vec<&str> = string.split(':').collect();
        let (memory, pipes) = words.split_at_checked(7)?;
        let role = Role::ALL.into_iter().find(|role| role.as_str() == memory[3])?;
        let [hears @ .., ring, ring_device, ring_inode] = pipes else { return None };
        let [hear, hear_device, hear_inode] = hears else { return None };
        let pipe = |[number, device, inode]: [&str; 3], rings| {
            let identity = Identity { device: natural(device)?, inode: natural(inode)? };
            Some(NamedPipe { number: natural(number)?, identity, rings })
        };
        let mut memory = memory.to_vec();
        memory[3] = RegionKind::Writable.as_str();
        Some(Self {
            role,
            memory: memory.join(":").parse().ok()?,
            hears: pipe([hear, hear_device, hear_inode], false)?,
            rings: pipe([ring, ring_device, ring_inode], true)?,
        })
    }
}

impl fmt::Display for EndString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory.write(f, self.role.as_str())?;
        for NamedPipe { number, identity: Identity { device, inode }, .. } in [self.hears, self.rings] {
            write!(f, ":{number}:{device}:{inode}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_canonical_spelling() {
        let good = "5:1:1:sender:65792:1:42:6:13:777:7:13:778";
        let parsed = EndString::parse(good).unwrap();
        assert_eq!(parsed.to_string(), good);
        assert_eq!(
            (parsed.role, parsed.memory.number, parsed.hears.number, parsed.rings.number),
            (Role::Sender, 5, 6, 7)
        );
        assert!(EndString::parse(&good.replace("sender", "receiver")).is_some());
        for bad in [
            "",
            "5:1:1:writable:65792:1:42:6:13:777:7:13:778",
            "5:1:1:sender:65792:1:42",
            "5:1:1:sender:65792:1:42:6:13:777:7:13",
            "5:1:1:sender:65792:1:42:6:13:777:7:13:778:",
            "5:1:1:sender:65792:1:42:6:13:777:7:13:778:9",
            "5:0:1:sender:65792:1:42:6:13:777:7:13:778",
            "5:1:2:sender:65792:1:42:6:13:777:7:13:778",
            "5:1:1:sender:65792:1:42:06:13:777:7:13:778",
            "5:1:1:sender:65792:1:42:6:13:777:-7:13:778",
            "5:1:1:sender:65792:1:42:6:13:777:7:13:",
            "5:1:1:Sender:65792:1:42:6:13:777:7:13:778",
        ] {
            assert_eq!(EndString::parse(bad), None, "{bad:?}");
        }
    }
}
