//! The regions of this system, as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::makedev;

use crate::region::kind_of;
use crate::sys;
use crate::{Error, RegionKind, Result};

/// Holds what [`regions`] found.
///
/// ```
/// let census = heirloom::os::linux::regions()?;
/// println!("{} regions, {} processes not examined", census.regions.len(), census.hidden_processes);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Census {
    /// The regions, in the order of their device and inode numbers.
    pub regions: Vec<RegionInfo>,
    /// The number of processes that could not be examined, mostly for lack of permission.
    pub hidden_processes: usize,
}

/// Describes a region that any process of this system holds.
///
/// ```
/// use heirloom::{Region, RegionKind, os::linux};
///
/// let name = format!("frames-{}", std::process::id());
/// let region = Region::options().name(&name).create(4096)?;
/// let census = linux::regions()?;
/// let found = census.regions.iter().find(|found| found.name.as_deref() == Some(&name)).unwrap();
/// assert_eq!(found.size, Some(4096));
/// assert_eq!(found.resident, Some(0)); // no page was touched
/// assert_eq!(found.kind, Some(RegionKind::Writable));
/// assert_eq!(found.holders.len(), 1);
/// # drop(region);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegionInfo {
    /// The debugging name, if the region has one.
    pub name: Option<String>,
    /// The size in bytes; `None` if only mappings of it were found, no descriptor.
    pub size: Option<u64>,
    /// The bytes that are in memory or swap; `None` if only mappings of it were found, no descriptor.
    pub resident: Option<u64>,
    /// The kind; `None` if no descriptor of it could be opened, or while its size is not sealed, as during creation.
    pub kind: Option<RegionKind>,
    /// The processes that hold it, by ascending PID.
    pub holders: Vec<Holder>,
}

/// Describes a process that holds a region.
///
/// ```
/// use heirloom::{Region, os::linux};
///
/// let name = format!("results-{}", std::process::id());
/// let region = Region::options().name(&name).create(4096)?;
/// let mapping = region.map()?;
/// drop(region); // the mapping remains
///
/// let census = linux::regions()?;
/// let found = census.regions.iter().find(|found| found.name.as_deref() == Some(&name)).unwrap();
/// let holder = &found.holders[0];
/// assert_eq!(holder.pid, std::process::id());
/// assert!(holder.mapped && !holder.open);
/// assert_eq!(holder.pss, Some(0)); // no page was touched
/// # drop(mapping);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// The process ID, in the PID namespace of `/proc`.
    pub pid: u32,
    /// The command name, of at most 15 bytes, from
    /// [proc_pid_comm(5)](https://man7.org/linux/man-pages/man5/proc_pid_comm.5.html).
    pub command: String,
    /// Whether it has a descriptor of the region open.
    pub open: bool,
    /// Whether it maps the region.
    pub mapped: bool,
    /// Its share of the region's memory in bytes (PSS, see
    /// [proc_pid_smaps(5)](https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html)): each page that it has mapped and
    /// accessed, divided by the number of mappings that have it. 0 without a mapping; `None` if the kernel does not tell,
    /// as for huge pages of a pool.
    ///
    /// The shares of all holders add up to the pages that any of them has accessed through a mapping, and to those that
    /// copy-on-write mappings have copied.
    pub pss: Option<u64>,
}

/// Finds all regions in the descriptors and mappings of the processes that this one may examine.
///
/// It may examine the processes of its user, except those that called [`set_undumpable`](super::set_undumpable); root
/// may examine all. Only processes in the PID namespace of `/proc` are found, and one that starts or ends during the
/// call may be missing. See [proc_pid_fd(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html) and
/// [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html).
///
/// A region is recognized by its name in `/proc`, which any program can give to memory of its own: use the result for
/// display and debugging, not for access decisions. Regions of
/// [`RegionOptions::unsealed_file_in`](crate::RegionOptions::unsealed_file_in) and secret regions have no such name and are not
/// found.
///
/// # Errors
/// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors): no descriptor is left to list the processes. One that
///   is missing later counts its process as hidden, or leaves out the kind.
/// - [`ErrorKind::System`](crate::ErrorKind::System): `/proc` is not mounted or cannot be read.
///
/// ```
/// for region in heirloom::os::linux::regions()?.regions {
///     let pids: Vec<_> = region.holders.iter().map(|holder| holder.pid).collect();
///     println!("{:?}: {:?} bytes, held by {pids:?}", region.name, region.size);
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn regions() -> Result<Census> {
    let failed = |error: io::Error| Error::system("cannot list the processes", error.into());
    let mut processes: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        processes.extend(entry.map_err(failed)?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    processes.sort_unstable();
    let mut found = Found { regions: BTreeMap::new(), memory_mounts: sys::memory_mounts() };
    let mut hidden_processes = 0;
    for pid in processes {
        // A process that ended meanwhile is not hidden.
        if found.add_process(pid).is_err() && fs::exists(format!("/proc/{pid}")).unwrap_or(true) {
            hidden_processes += 1;
        }
    }
    Ok(Census { regions: found.regions.into_values().collect(), hidden_processes })
}

/// Device and inode.
type Key = (u64, u64);

struct Found {
    regions: BTreeMap<Key, RegionInfo>,
    /// The ids of the mounts that anonymous memory is on.
    memory_mounts: Vec<u64>,
}

impl Found {
    /// Examines every thread: one may have descriptors of its own, and the first may have ended before the others.
    fn add_process(&mut self, pid: u32) -> io::Result<()> {
        let mut examined = Err(io::ErrorKind::NotFound.into());
        let mut mapped = false;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            let added = self.add_descriptors(pid, &thread);
            // All threads have the same mappings, except for one that has ended and has none.
            let added = if mapped {
                added
            } else {
                added.and_then(|()| self.add_mappings(pid, &thread)).map(|some| mapped = some)
            };
            if examined.is_err() {
                examined = added;
            }
        }
        examined
    }

    fn add_descriptors(&mut self, pid: u32, thread: &Path) -> io::Result<()> {
        for entry in fs::read_dir(thread.join("fd"))? {
            let path = entry?.path();
            // The process may have closed it meanwhile.
            let Ok(link) = fs::read_link(&path) else { continue };
            if let Some(name) = region_name(link.as_os_str().as_bytes()) {
                self.add_descriptor(pid, &path, name);
            }
        }
        Ok(())
    }

    /// Returns whether there are any mappings.
    fn add_mappings(&mut self, pid: u32, thread: &Path) -> io::Result<bool> {
        let maps = fs::read(thread.join("maps"))?;
        let found: Vec<_> = maps.split(|byte| *byte == b'\n').filter_map(mapped_region).collect();
        if !found.is_empty() {
            // The kernel looks at every page of the process for this file, so it is read only where there are regions. Some
            // kernels are built without it.
            let shares = fs::read(thread.join("smaps")).map(|smaps| shares(&smaps)).unwrap_or_default();
            for (key, name) in found {
                let holder = self.holder(key, name, pid);
                holder.mapped = true;
                holder.pss = shares.get(&key).copied().flatten();
            }
        }
        Ok(!maps.is_empty())
    }

    fn add_descriptor(&mut self, pid: u32, path: &Path, name: Option<String>) {
        // The process may have reused the number for any file. `O_PATH` only refers to that file: it opens no device, wakes
        // no FIFO, and needs no permission of the file itself.
        let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path) else { return };
        // The file may have a name like a region's, and a file system that never answers.
        if !sys::mount_of(&file).is_some_and(|mount| self.memory_mounts.contains(&mount)) {
            return;
        }
        let Ok(metadata) = file.metadata() else { return };
        if !metadata.is_file() || metadata.nlink() != 0 {
            return;
        }
        let key = (metadata.dev(), metadata.ino());
        self.holder(key, name, pid).open = true;
        let region = self.regions.entry(key).or_default();
        region.size = Some(metadata.size());
        region.resident = Some(metadata.blocks().saturating_mul(512));
        region.kind = region.kind.or_else(|| kind(&file));
    }

    /// Returns the region's entry for the process, a new one if there is none yet.
    fn holder(&mut self, key: Key, name: Option<String>, pid: u32) -> &mut Holder {
        let region = self.regions.entry(key).or_insert_with(|| RegionInfo { name, ..RegionInfo::default() });
        let known = region.holders.iter().position(|holder| holder.pid == pid);
        let index = known.unwrap_or_else(|| {
            let command = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).trim_end().to_owned();
            region.holders.push(Holder { pid, command, open: false, mapped: false, pss: Some(0) });
            region.holders.len() - 1
        });
        &mut region.holders[index]
    }
}

/// Returns the debugging name of the region that the kernel lists as `file`. The outer `None` is another file, the
/// inner one a region without a name.
#[allow(clippy::option_option)]
fn region_name(file: &[u8]) -> Option<Option<String>> {
    let name = file.strip_suffix(b" (deleted)").unwrap_or(file).strip_prefix(b"/memfd:heirloom/")?;
    Some((!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned()))
}

/// Returns the region that a line of `/proc/PID/maps` shows. Its fields are addresses, permissions, offset, device,
/// inode and, after spaces, the file, with newlines written as `\012`. See `proc_pid_maps(5)`.
#[allow(clippy::option_option)]
fn mapped_region(line: &[u8]) -> Option<(Key, Option<String>)> {
    let file = line.iter().position(|byte| *byte == b'/')?;
    let (fields, file) = line.split_at(file);
    let name = region_name(file)?.map(|name| name.replace("\\012", "\n"));
    let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let device = makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    Some(((device, fields.next()?.parse().ok()?), name))
}

/// Returns the share in bytes of each region that `/proc/PID/smaps` shows, or `None` where that has no share. Behind a line as
/// in `maps` come the mapping's fields, such as `Pss:  8 kB`.
fn shares(smaps: &[u8]) -> BTreeMap<Key, Option<u64>> {
    let mut shares = BTreeMap::new();
    let mut region = None;
    for line in smaps.split(|byte| *byte == b'\n') {
        let Some((field, bytes)) = field(line) else {
            region = mapped_region(line).map(|(key, _)| key);
            continue;
        };
        let Some(key) = region else { continue };
        let share = shares.entry(key).or_insert(Some(0_u64));
        match field {
            "Pss" => *share = share.map(|share| share.saturating_add(bytes)),
            // Pages of a pool are not in PSS.
            "Shared_Hugetlb" | "Private_Hugetlb" if bytes > 0 => *share = None,
            _ => {}
        }
    }
    shares
}

/// Returns a field of a mapping and its number of bytes, 0 if it has none; or `None` for the line that begins the next mapping.
fn field(line: &[u8]) -> Option<(&str, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let field = words.next()?.strip_suffix(':')?;
    let kib: u64 = words.next().and_then(|number| number.parse().ok()).unwrap_or_default();
    Some((field, kib.saturating_mul(1024)))
}

/// Returns the kind that the seals show, if the size is sealed: it is not for a moment during creation.
fn kind(file: &File) -> Option<RegionKind> {
    // Opens the file that was examined: no other process can change what this process's own descriptor refers to.
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let status = sys::status(&file).ok()?;
    status.seals.size.then(|| kind_of(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regions_are_recognized() {
        let named = |name: &str| Some(Some(name.to_owned()));
        for (file, name) in [
            ("/memfd:heirloom/ (deleted)", Some(None)),
            ("/memfd:heirloom/", Some(None)),
            ("/memfd:heirloom/frames (deleted)", named("frames")),
            ("/memfd:heirloom/a:b (deleted) (deleted)", named("a:b (deleted)")),
            ("/memfd:heirloom/a/b (deleted)", named("a/b")),
            ("/memfd:heirloom (deleted)", None),
            ("/memfd:heirloom:frames (deleted)", None),
            ("/memfd:heirlooms/frames (deleted)", None),
            ("/memfd:other (deleted)", None),
            ("/tmp/memfd:heirloom/frames", None),
            ("pipe:[42]", None),
        ] {
            assert_eq!(region_name(file.as_bytes()), name, "{file}");
        }
    }

    #[test]
    fn mapped_regions_are_found_in_a_line() {
        let line = br"7f0000000000-7f0000001000 rw-s 00000000 00:01 1042      /memfd:heirloom/two\012lines (deleted)";
        assert_eq!(mapped_region(line), Some(((makedev(0, 1), 1042), Some("two\nlines".to_owned()))));
        assert_eq!(mapped_region(b"7f0000000000-7f0000001000 r--p 00000000 fd:01 1042 /usr/lib/libc.so.6"), None);
        assert_eq!(mapped_region(b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapped_region(b""), None);
    }

    #[test]
    fn shares_are_summed_over_a_region() {
        let mapping =
            |file: &str, fields: &str| format!("7f00-7f10 r--s 00000000 00:01 {file}\n{fields}VmFlags: rd mr\n");
        let smaps = mapping("7 /memfd:heirloom/a (deleted)", "Rss: 12 kB\nPss: 8 kB\nPss_Dirty: 4 kB\n")
            + &mapping("8 /usr/lib/libc.so.6", "Pss: 100 kB\n")
            + &mapping("9 /memfd:heirloom/Pss: 5 kB (deleted)", "Pss: 0 kB\n")
            + &mapping(
                "10 /memfd:heirloom/pool (deleted)",
                "Pss: 0 kB\nShared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 0 kB\n",
            )
            + "7f20-7f30 rw-p 00000000 00:00 0 [heap]\nPss: 100 kB\n"
            + &mapping("7 /memfd:heirloom/a (deleted)", "Pss: 1 kB\n");
        let key = |inode| (makedev(0, 1), inode);
        let expected = [(key(7), Some(9 * 1024)), (key(9), Some(0)), (key(10), None)];
        assert_eq!(shares(smaps.as_bytes()), expected.into());
        // A kernel's odd numbers are not trusted.
        let endless = mapping("7 /memfd:heirloom/a (deleted)", "Pss: 18446744073709551615 kB\nPss: 4 kB\n");
        assert_eq!(shares(endless.as_bytes()), [(key(7), Some(u64::MAX))].into());
        assert!(shares(b"").is_empty());
    }
}
